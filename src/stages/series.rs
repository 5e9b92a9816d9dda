//! A PSF's Legendre series on one wavelength grid, eight bins at a time: traces and the shapes of spots.

use super::legendre::unit;
use super::simd::{Kernel, Octet, Simd, dispatch};
use crate::psf::LegendreSeries;

/// Series of a PSF on a grid: the polynomials are the same for every fibre and are evaluated once.
#[derive(Debug)]
pub(crate) struct SeriesTable<'a> {
    nbin: usize,
    bases: Vec<Basis>,
    /// Every series and its basis.
    series: Vec<(usize, &'a LegendreSeries)>,
}

/// Legendre polynomials of all bins.
#[derive(Debug)]
struct Basis {
    degrees: usize,
    /// `[octet, degree]`.
    values: Vec<Octet>,
}

impl Basis {
    /// P_k of every bin by Bonnet's recurrence `k P_k = (2k - 1) u P_{k-1} - (k - 1) P_{k-2}`; the last bin fills up
    /// the last octet.
    fn new(domain: [f64; 2], degrees: usize, wave: &[f64]) -> Self {
        let mut values = vec![Octet::default(); wave.len().div_ceil(8) * degrees];
        for bin in 0..wave.len().next_multiple_of(8) {
            let u = unit(domain, wave[bin.min(wave.len() - 1)]);
            let (mut before, mut current) = (0.0, 1.0);
            for k in 0..degrees {
                values[bin / 8 * degrees + k].0[bin % 8] = current;
                let n = k as f64 + 1.0;
                (before, current) = (current, ((2.0 * n - 1.0) * u * current - (n - 1.0) * before) / n);
            }
        }
        Self { degrees, values }
    }
}

impl<'a> SeriesTable<'a> {
    /// The given series at `wave`, Angstrom.
    pub fn new(series: &[&'a LegendreSeries], wave: &[f64]) -> Self {
        let mut domains: Vec<([f64; 2], usize)> = Vec::new();
        let mut basis_of = |s: &LegendreSeries| match domains.iter().position(|(domain, _)| *domain == s.domain) {
            Some(k) => {
                domains[k].1 = domains[k].1.max(s.ncoeff);
                k
            }
            None => {
                domains.push((s.domain, s.ncoeff));
                domains.len() - 1
            }
        };
        let series = series.iter().map(|s| (basis_of(s), *s)).collect();
        let bases = domains.into_iter().map(|(domain, degrees)| Basis::new(domain, degrees, wave)).collect();
        Self { nbin: wave.len(), bases, series }
    }

    /// Number of bins.
    pub fn nbin(&self) -> usize {
        self.nbin
    }

    /// One series of one fibre at bins `8 octet ..`.
    #[inline(always)]
    pub fn at<S: Simd>(&self, simd: S, series: usize, fibre: usize, octet: usize) -> S::Lanes {
        let (basis, series) = self.series[series];
        let Basis { degrees, values, .. } = &self.bases[basis];
        let mut sum = simd.splat(0.0);
        for (c, p) in series.of(fibre).iter().zip(&values[octet * degrees..(octet + 1) * degrees]) {
            sum = simd.mul_add(simd.splat(*c), simd.load(p), sum);
        }
        sum
    }

    /// The coefficients of all series of one fibre, each with as many as its polynomials.
    pub fn of_fibre(&self, fibre: usize) -> Vec<f64> {
        let mut out = Vec::new();
        for (basis, series) in &self.series {
            let (of, degrees) = (series.of(fibre), self.bases[*basis].degrees);
            out.extend(of.iter().copied().chain(std::iter::repeat_n(0.0, degrees - of.len())));
        }
        out
    }

    /// All series at bins `8 octet ..`, from the coefficients of a fibre.
    #[inline(always)]
    pub fn all_at<S: Simd>(&self, simd: S, mut coefficients: &[f64], octet: usize, mut out: &mut [Octet]) {
        for run in self.series.chunk_by(|a, b| a.0 == b.0) {
            let Basis { degrees, values, .. } = &self.bases[run[0].0];
            let polynomials = &values[octet * degrees..(octet + 1) * degrees];
            let (own, rest) = coefficients.split_at(run.len() * degrees);
            let (to, others) = out.split_at_mut(run.len());
            (coefficients, out) = (rest, others);
            // Most series are of third degree.
            if let Ok(polynomials) = <&[Octet; 4]>::try_from(polynomials) {
                let mut p = [simd.splat(0.0); 4];
                for k in 0..4 {
                    p[k] = simd.load(&polynomials[k]);
                }
                for (c, out) in own.as_chunks::<4>().0.iter().zip(to) {
                    let mut sum = simd.splat(0.0);
                    for k in 0..4 {
                        sum = simd.mul_add(simd.splat(c[k]), p[k], sum);
                    }
                    simd.store(sum, out);
                }
                continue;
            }
            for (c, out) in own.chunks_exact(*degrees).zip(to) {
                let mut sum = simd.splat(0.0);
                for (c, p) in c.iter().zip(polynomials) {
                    sum = simd.mul_add(simd.splat(*c), simd.load(p), sum);
                }
                simd.store(sum, out);
            }
        }
    }

    /// All series of one fibre, `[nbin, nseries]`.
    pub fn by_bin(&self, fibre: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.nbin * self.nseries()];
        let mut row = vec![0.0; self.nbin];
        for series in 0..self.nseries() {
            self.row(series, fibre, &mut row);
            out[series..].iter_mut().step_by(self.nseries()).zip(&row).for_each(|(to, from)| *to = *from);
        }
        out
    }

    /// Number of series.
    pub fn nseries(&self) -> usize {
        self.series.len()
    }

    /// One series of one fibre at all bins, `[nbin]`.
    pub fn row(&self, series: usize, fibre: usize, out: &mut [f64]) {
        self.part_of_row(series, fibre, 0, out);
    }

    /// One series of one fibre at bins from `first`, a multiple of eight, on.
    pub fn part_of_row(&self, series: usize, fibre: usize, first: usize, out: &mut [f64]) {
        dispatch(Row { table: self, series, fibre, first, out });
    }
}

struct Row<'a, 'b> {
    table: &'a SeriesTable<'b>,
    series: usize,
    fibre: usize,
    first: usize,
    out: &'a mut [f64],
}

impl Kernel for Row<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (octet, out) in self.out.chunks_mut(8).enumerate() {
            let mut values = Octet::default();
            simd.store(self.table.at(simd, self.series, self.fibre, self.first / 8 + octet), &mut values);
            out.copy_from_slice(&values.0[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::legendre::legendre;
    use super::*;

    #[test]
    fn a_row_holds_the_series_at_every_bin_whatever_its_domain_and_length() {
        let series = |domain, ncoeff: usize| LegendreSeries {
            domain,
            ncoeff,
            coeff: (0..2 * ncoeff).map(|k| (1.3 * k as f64).sin()).collect(),
        };
        let all = [series([100.0, 200.0], 4), series([90.0, 210.0], 1), series([100.0, 200.0], 7)];
        for n in [1, 8, 21] {
            let wave: Vec<f64> = (0..n).map(|i| 95.0 + 5.0 * i as f64).collect();
            let table = SeriesTable::new(&all.iter().collect::<Vec<_>>(), &wave);
            assert_eq!(table.nbin(), n);
            for (k, s) in all.iter().enumerate() {
                for fibre in 0..2 {
                    let mut row = vec![0.0; n];
                    table.row(k, fibre, &mut row);
                    let close = |(v, w): (&f64, &f64)| (v - legendre(s.of(fibre), unit(s.domain, *w))).abs() < 1e-12;
                    assert!(row.iter().zip(&wave).all(close));
                    let by_bin = table.by_bin(fibre);
                    assert!(row.iter().eq(by_bin[k..].iter().step_by(all.len())));
                }
            }
        }
    }
}
