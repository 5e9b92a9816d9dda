//! PSF files written: PSFVER 3, traces in images of their own, one row of the table a parameter.

use std::path::Path;

use crate::psf::{LegendreSeries, Psf};

use super::error::FitsError;
use super::header::Header;
use super::output_path::fill;
use super::psf::TAILS;
use super::table::{ColumnData, Table};
use super::writer::{Image, Pixels};

/// Writes a PSF file of PSFVER 3: XTRACE, YTRACE and the PSF table.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, cannot be written, or the series of the table have not
/// one domain, which is all that PSFVER 3 can say.
pub fn write_psf(path: impl AsRef<Path>, psf: &Psf, overwrite: bool) -> Result<(), FitsError> {
    let rows = param_rows(psf);
    let domain = psf.sigma_x.domain;
    if let Some((name, series)) = rows.iter().find(|(_, s)| s.domain != domain) {
        let what = format!(
            "{name} has wavelengths {:?}, GHSIGX {domain:?}, but PSFVER 3 has one range for all; refit them to one",
            series.domain
        );
        return Err(FitsError::Invalid { path: path.as_ref().into(), hdu: "HDU 2 (PSF)".into(), what });
    }
    let table = param_table(psf, &rows);
    let filled = fill(path.as_ref(), overwrite, |out| {
        for (name, trace) in [("XTRACE", &psf.trace_x), ("YTRACE", &psf.trace_y)] {
            let image =
                Image { name, unit: "", shape: vec![psf.nfibre, trace.ncoeff], pixels: Pixels::F64(&trace.coeff) };
            out.image(&image, &common_cards(psf, trace.domain))?;
        }
        out.table("PSF", &table)
    })?;
    Ok(filled.persist()?)
}

/// Cards that every HDU of a PSF file has.
fn common_cards(psf: &Psf, domain: [f64; 2]) -> Header {
    let mut header = Header::new();
    header.set("PSFTYPE", "GAUSS-HERMITE", "");
    header.set("PSFVER", 3i64, "");
    header.set("FIBERMIN", psf.fibermin, "first fibre");
    header.set("FIBERMAX", psf.fibermin + psf.nfibre as i64 - 1, "last fibre, included");
    header.set("WAVEMIN", domain[0], "Angstrom, where the Legendre variable is -1");
    header.set("WAVEMAX", domain[1], "Angstrom, where the Legendre variable is 1");
    header
}

/// The parameters in the order of specex's files.
fn param_rows(psf: &Psf) -> Vec<(String, &LegendreSeries)> {
    let mut rows = vec![("GHSIGX".to_string(), &psf.sigma_x), ("GHSIGY".to_string(), &psf.sigma_y)];
    for j in 0..=psf.gh_degree_y {
        for i in 0..=psf.gh_degree_x {
            rows.push((format!("GH-{i}-{j}"), &psf.gh[i * (psf.gh_degree_y + 1) + j]));
        }
    }
    if let Some(t) = &psf.tails {
        let tails = [&t.amplitude, &t.core, &t.x_scale, &t.y_scale, &t.index];
        rows.extend(TAILS.iter().map(|name| name.to_string()).zip(tails));
    }
    rows
}

/// The PSF table; shorter series are filled with zero coefficients.
fn param_table(psf: &Psf, rows: &[(String, &LegendreSeries)]) -> Table {
    let ncoeff = rows.iter().map(|(_, s)| s.ncoeff).max().unwrap_or(1);
    let mut coeff = Vec::new();
    for (_, series) in rows {
        for fibre in 0..psf.nfibre {
            let from = coeff.len();
            coeff.extend_from_slice(series.of(fibre));
            coeff.resize(from + ncoeff, 0.0);
        }
    }
    let names = rows.iter().map(|(name, _)| name.clone()).collect();
    let mut table = Table::new(rows.len()).with_column("PARAM", "", &ColumnData::Str(names)).with_column(
        "COEFF",
        "",
        &ColumnData::F64(coeff),
    );
    let header = table.header_mut();
    header.set("TDIM2", format!("({ncoeff},{})", psf.nfibre), "");
    header.append(&common_cards(psf, psf.sigma_x.domain));
    header.set("CAMERA", psf.camera.clone().unwrap_or_default(), "camera");
    header.set("NPIX_X", psf.npix_x, "columns of the CCD");
    header.set("NPIX_Y", psf.npix_y, "rows of the CCD");
    header.set("HSIZEX", psf.half_x, "spots are 2 HSIZEX + 1 columns wide");
    header.set("HSIZEY", psf.half_y, "spots are 2 HSIZEY + 1 rows high");
    header.set("NPARAMS", rows.len(), "rows of this table");
    header.set("LEGDEG", ncoeff - 1, "degree of the Legendre series");
    header.set("GHDEGX", psf.gh_degree_x, "Gauss-Hermite degree along columns");
    header.set("GHDEGY", psf.gh_degree_y, "Gauss-Hermite degree along rows");
    header.set("PSFERR", psf.psferr, "fractional error of the PSF");
    table
}
