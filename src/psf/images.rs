//! Sampled spots: oversampled images on a grid, and images with powers of the position.

use super::error::PsfError;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A sum of an image may exceed all light by this.
const TOTAL_ERROR: f64 = 1e-3;

/// Numbers behind all images, so that eight may be loaded at any pixel of the last.
const BEYOND: usize = 7;

/// Most samples of an image along an axis; beyond it a file is damaged.
const MOST_SAMPLES: usize = 4096;

/// Oversampled images of spots on a grid of slit positions and wavelengths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpotImagesParts {
    /// Slit positions of the samples, ascending (SPOTPOS).
    pub positions: Vec<f64>,
    /// Wavelengths of the samples of each slit position, Angstrom, ascending (SPOTWAVE, or those of SPOTAT).
    pub waves: Vec<Vec<f64>>,
    /// Where the images of another bundle begin: the first of their slit positions, and where the slit has fibres of it.
    #[serde(default)]
    pub breaks: Vec<(usize, f64)>,
    /// Rows of an image, a multiple of `oversampling`.
    pub ny: usize,
    /// Columns of an image, a multiple of `oversampling`.
    pub nx: usize,
    /// The images of all wavelengths of all slit positions, `[image, ny, nx]`.
    pub samples: Vec<f64>,
    /// Samples per CCD pixel along either axis.
    pub oversampling: usize,
    /// Row and column of an image that fall on the trace (SPOTCEN).
    pub centre: [f64; 2],
    /// How an image is moved by less than a sample.
    pub remainder: Remainder,
    /// Meaning of the sum of an image.
    #[serde(default)]
    pub norm: SpotNorm,
}

/// The meaning of the sum of an image (SPOTNORM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpotNorm {
    /// Nothing: a spot is normalised to sum 1.
    #[default]
    Window,
    /// The part of all light that falls on the image: what falls beside it stays out of the flux.
    Total,
}

/// How an image is moved by less than one of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remainder {
    /// Bilinear weights of the samples (SPOTGRID).
    Linear,
    /// A damped sinc on CCD pixels (MONOSPOT).
    Sinc,
}

/// [`SpotImagesParts`], checked and rebinned to CCD pixels at every whole displacement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SpotImagesParts", into = "SpotImagesParts")]
pub struct SpotImages {
    parts: SpotImagesParts,
    /// The first image of each slit position.
    first: Vec<usize>,
    /// `[image, phase y, phase x, rows, columns]`, and [`BEYOND`] zeros.
    phases: Vec<f64>,
}

impl PartialEq for SpotImages {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl SpotImages {
    /// Checks the parts and rebins the images.
    ///
    /// # Errors
    /// [`PsfError::Images`] if sizes do not fit together, positions do not ascend or a sample is not finite.
    pub fn new(parts: SpotImagesParts) -> Result<Self, PsfError> {
        parts.check().map_err(PsfError::Images)?;
        let SpotImagesParts { ny, nx, oversampling: r, .. } = parts;
        let (rows, columns, phases) = (ny / r + 1, nx / r + 1, r + 1);
        let mut all = vec![0.0; parts.count() * phases * phases * rows * columns + BEYOND];
        let images = parts.samples.chunks_exact(ny * nx).zip(all.chunks_exact_mut(phases * phases * rows * columns));
        let mut along_x = vec![0.0; ny * columns];
        for (image, of_image) in images {
            for phase_x in 0..phases {
                along_x.fill(0.0);
                for (row, to) in image.chunks_exact(nx).zip(along_x.chunks_exact_mut(columns)) {
                    // The last phase of all is the first one, a pixel further on.
                    row.iter().enumerate().for_each(|(k, sample)| to[(k + phase_x) / r] += sample);
                }
                for phase_y in 0..phases {
                    let to = &mut of_image[(phase_y * phases + phase_x) * rows * columns..][..rows * columns];
                    for (k, row) in along_x.chunks_exact(columns).enumerate() {
                        let to = &mut to[(k + phase_y) / r * columns..][..columns];
                        to.iter_mut().zip(row).for_each(|(to, from)| *to += from);
                    }
                }
            }
        }
        let first = parts.waves.iter().scan(0, |next, waves| Some(std::mem::replace(next, *next + waves.len())));
        Ok(Self { first: first.collect(), parts, phases: all })
    }

    /// Returns the parts.
    pub fn parts(&self) -> &SpotImagesParts {
        &self.parts
    }

    /// Whether one image serves everywhere, moved by a sinc (MONOSPOT).
    pub fn is_single(&self) -> bool {
        self.parts.remainder == Remainder::Sinc
    }

    /// Rows and columns of an image in CCD pixels, one more than it covers.
    pub fn size(&self) -> [usize; 2] {
        let SpotImagesParts { ny, nx, oversampling, .. } = self.parts;
        [ny / oversampling + 1, nx / oversampling + 1]
    }

    /// Returns the first image of each slit position; those of its other wavelengths follow.
    pub fn first(&self) -> &[usize] {
        &self.first
    }

    /// Returns the slit positions whose images serve at one: those of its bundle.
    pub fn positions_at(&self, position: f64) -> Range<usize> {
        let breaks = &self.parts.breaks;
        let next = breaks.partition_point(|(_, from)| *from <= position);
        let first = next.checked_sub(1).map_or(0, |at| breaks[at].0);
        first..breaks.get(next).map_or(self.parts.positions.len(), |(last, _)| *last)
    }

    /// Returns all images in CCD pixels, `[image, displacement y, displacement x, rows, columns]`.
    pub fn phases(&self) -> &[f64] {
        &self.phases[..self.phases.len() - BEYOND]
    }

    /// Returns an image in CCD pixels, displaced by `[y, x]` samples of at most a pixel.
    pub fn phase(&self, image: usize, [y, x]: [usize; 2]) -> &[f64] {
        let with_more = self.phase_and_beyond(image, [y, x]);
        &with_more[..with_more.len() - BEYOND]
    }

    /// Returns an image as [`Self::phase`], with [`BEYOND`] numbers that follow it.
    pub(crate) fn phase_and_beyond(&self, image: usize, [y, x]: [usize; 2]) -> &[f64] {
        let ([rows, columns], phases) = (self.size(), self.parts.oversampling + 1);
        &self.phases[((image * phases + y) * phases + x) * rows * columns..][..rows * columns + BEYOND]
    }

    /// Returns half the rows and columns of an odd window around a trace's pixel, in which every spot lies.
    pub fn half_size(&self) -> [usize; 2] {
        let (r, size) = (self.parts.oversampling as f64, self.size());
        [0, 1].map(|axis| {
            // The first pixel is `first` or one more from the trace's.
            let first = (-(self.parts.centre[axis] + 0.5) / r).floor();
            let last = first + size[axis] as f64;
            (-first).max(last).max(1.0) as usize
        })
    }
}

impl SpotImagesParts {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.waves.iter().map(Vec::len).sum()
    }

    /// Whether all slit positions are of one bundle and have images of the same wavelengths.
    pub fn is_regular(&self) -> bool {
        self.breaks.is_empty() && self.waves.windows(2).all(|pair| pair[0] == pair[1])
    }

    fn check(&self) -> Result<(), String> {
        let Self { ny, nx, oversampling: r, .. } = *self;
        if !(2..=MOST_SAMPLES).contains(&r) {
            return Err(format!("oversampling is {r}, not within 2 to {MOST_SAMPLES}"));
        }
        for (n, axis) in [(ny, "rows"), (nx, "columns")] {
            if n == 0 || n > MOST_SAMPLES || !n.is_multiple_of(r) {
                let what = "as many or a multiple";
                return Err(format!("images have {n} {axis}, {r} samples per CCD pixel: {what} are needed"));
            }
        }
        let ascend =
            |places: &[f64]| places.iter().all(|p| p.is_finite()) && places.windows(2).all(|pair| pair[0] < pair[1]);
        for (lists, what) in
            [(std::slice::from_ref(&self.positions), "slit positions"), (&self.waves[..], "wavelengths")]
        {
            if lists.is_empty() || lists.iter().any(|places| places.is_empty() || !ascend(places)) {
                return Err(format!("the {what} of the images do not ascend"));
            }
        }
        if self.waves.len() != self.positions.len() {
            let (found, expected) = (self.waves.len(), self.positions.len());
            return Err(format!("there are wavelengths of {found} slit positions, not of {expected}"));
        }
        let (firsts, from): (Vec<f64>, Vec<f64>) =
            self.breaks.iter().map(|(first, from)| (*first as f64, *from)).unzip();
        let inside = |(first, _): &(usize, f64)| (1..self.positions.len()).contains(first);
        if !(ascend(&firsts) && ascend(&from) && self.breaks.iter().all(inside)) {
            return Err("the images of bundles do not follow one another along the slit".into());
        }
        if self.remainder == Remainder::Sinc && self.count() != 1 {
            return Err(format!("there are {} images, and a sinc moves one alone", self.count()));
        }
        let expected = [self.count(), ny, nx].iter().try_fold(1usize, |all, n| all.checked_mul(*n)).unwrap_or(0);
        if self.samples.len() != expected {
            return Err(format!("there are {} samples, not {expected}", self.samples.len()));
        }
        if let Some(at) = self.samples.iter().position(|s| !s.is_finite()) {
            return Err(format!("sample {at} is {}", self.samples[at]));
        }
        if let Some(image) = self.samples.chunks_exact(ny * nx).position(|image| image.iter().sum::<f64>() <= 0.0) {
            return Err(format!("image {image} has no light"));
        }
        if self.norm == SpotNorm::Total {
            let sums = self.samples.chunks_exact(ny * nx).map(|image| image.iter().sum::<f64>());
            if let Some((image, sum)) = sums.enumerate().find(|(_, sum)| *sum > 1.0 + TOTAL_ERROR) {
                return Err(format!(
                    "image {image} sums to {sum}; with SPOTNORM TOTAL the sum is the part of the light on the image, at most 1"
                ));
            }
        }
        for (centre, n) in self.centre.into_iter().zip([ny, nx]) {
            if !(-0.5..=n as f64 - 0.5).contains(&centre) {
                return Err(format!("the centre {centre} is not within the {n} samples of the images"));
            }
        }
        Ok(())
    }
}

impl TryFrom<SpotImagesParts> for SpotImages {
    type Error = PsfError;

    fn try_from(parts: SpotImagesParts) -> Result<Self, PsfError> {
        Self::new(parts)
    }
}

impl From<SpotImages> for SpotImagesParts {
    fn from(images: SpotImages) -> Self {
        images.parts
    }
}

/// Images in CCD pixels, `sum over k of x^a_k y^b_k image_k` for each of some groups of fibres.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolynomialParts", into = "PolynomialParts")]
pub struct PolynomialImages(PolynomialParts);

/// The parts of [`PolynomialImages`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolynomialParts {
    /// Powers of x and y of each image (XEXP, YEXP).
    pub powers: Vec<[i32; 2]>,
    /// Rows of an image, odd.
    pub ny: usize,
    /// Columns of an image, odd.
    pub nx: usize,
    /// The images, `[group, power, ny, nx]`.
    pub images: Vec<f64>,
}

impl PolynomialImages {
    /// Checks the parts.
    ///
    /// # Errors
    /// [`PsfError::Images`] if sizes are even or do not fit together, or a number is not finite.
    pub fn new(parts: PolynomialParts) -> Result<Self, PsfError> {
        let PolynomialParts { ny, nx, .. } = parts;
        let refuse = |what: String| Err(PsfError::Images(what));
        if ny % 2 == 0 || nx % 2 == 0 || ny.max(nx) > MOST_SAMPLES {
            return refuse(format!("images of {ny} x {nx} pixels: both numbers must be odd"));
        }
        let group = parts.powers.len() * ny * nx;
        if group == 0 || parts.images.is_empty() || !parts.images.len().is_multiple_of(group) {
            return refuse(format!(
                "{} numbers are not images of {} powers each",
                parts.images.len(),
                parts.powers.len()
            ));
        }
        if let Some(powers) = parts.powers.iter().find(|powers| powers.iter().any(|p| !(0..=64).contains(p))) {
            return refuse(format!("powers {} and {} of a position are not within 0 to 64", powers[0], powers[1]));
        }
        match parts.images.iter().position(|p| !p.is_finite()) {
            None => Ok(Self(parts)),
            Some(at) => refuse(format!("number {at} of the images is {}", parts.images[at])),
        }
    }

    /// Returns the parts.
    pub fn parts(&self) -> &PolynomialParts {
        &self.0
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.0.images.len() / (self.0.powers.len() * self.0.ny * self.0.nx)
    }

    /// Returns the images of a group, `[power, ny, nx]`.
    pub fn of(&self, group: usize) -> &[f64] {
        let size = self.0.powers.len() * self.0.ny * self.0.nx;
        &self.0.images[group.min(self.groups() - 1) * size..][..size]
    }
}

impl TryFrom<PolynomialParts> for PolynomialImages {
    type Error = PsfError;

    fn try_from(parts: PolynomialParts) -> Result<Self, PsfError> {
        Self::new(parts)
    }
}

impl From<PolynomialImages> for PolynomialParts {
    fn from(images: PolynomialImages) -> Self {
        images.0
    }
}
