//! Sampled spots: oversampled images on a grid, and images with powers of the position.

use super::error::PsfError;
use serde::{Deserialize, Serialize};

/// Most samples of an image along an axis; beyond it a file is damaged.
const MOST_SAMPLES: usize = 4096;

/// Oversampled images of spots on a grid of slit positions and wavelengths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpotImagesParts {
    /// Slit positions of the samples, ascending (SPOTPOS).
    pub positions: Vec<f64>,
    /// Wavelengths of the samples, Angstrom, ascending (SPOTWAVE).
    pub waves: Vec<f64>,
    /// Rows of an image, a multiple of `oversampling`.
    pub ny: usize,
    /// Columns of an image, a multiple of `oversampling`.
    pub nx: usize,
    /// The images, `[position, wave, ny, nx]`.
    pub samples: Vec<f64>,
    /// Samples per CCD pixel along either axis.
    pub oversampling: usize,
    /// Row and column of an image that fall on the trace (SPOTCEN).
    pub centre: [f64; 2],
    /// How an image is moved by less than a sample.
    pub remainder: Remainder,
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
    /// `[position, wave, phase y, phase x, rows, columns]`.
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
        let mut all = vec![0.0; parts.positions.len() * parts.waves.len() * phases * phases * rows * columns];
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
        Ok(Self { parts, phases: all })
    }

    /// Returns the parts.
    pub fn parts(&self) -> &SpotImagesParts {
        &self.parts
    }

    /// Whether one image serves everywhere.
    pub fn is_single(&self) -> bool {
        self.parts.positions.len() * self.parts.waves.len() == 1
    }

    /// Rows and columns of an image in CCD pixels, one more than it covers.
    pub fn size(&self) -> [usize; 2] {
        let SpotImagesParts { ny, nx, oversampling, .. } = self.parts;
        [ny / oversampling + 1, nx / oversampling + 1]
    }

    /// Returns an image in CCD pixels: sample `[position, wave]`, displaced by `[y, x]` samples of at most a pixel.
    pub fn phase(&self, [position, wave]: [usize; 2], [y, x]: [usize; 2]) -> &[f64] {
        let ([rows, columns], phases) = (self.size(), self.parts.oversampling + 1);
        let sample = position * self.parts.waves.len() + wave;
        &self.phases[((sample * phases + y) * phases + x) * rows * columns..][..rows * columns]
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
        for (places, what) in [(&self.positions, "slit positions"), (&self.waves, "wavelengths")] {
            if places.is_empty() || !places.iter().all(|p| p.is_finite()) || places.windows(2).any(|p| p[0] >= p[1]) {
                return Err(format!("the {what} of the images do not ascend"));
            }
        }
        let expected = [self.positions.len(), self.waves.len(), ny, nx].iter().product::<usize>();
        if self.samples.len() != expected {
            return Err(format!("there are {} samples, not {expected}", self.samples.len()));
        }
        if let Some(at) = self.samples.iter().position(|s| !s.is_finite()) {
            return Err(format!("sample {at} is {}", self.samples[at]));
        }
        if let Some(image) = self.samples.chunks_exact(ny * nx).position(|image| image.iter().sum::<f64>() <= 0.0) {
            return Err(format!("image {image} has no light"));
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
