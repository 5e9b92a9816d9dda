//! The kinds of PSF: what makes spots of a trace and a few parameters.

use super::images::{PolynomialImages, SpotImages};
use super::series::LegendreSeries;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kind of a PSF. Every kind has traces, widths and a window; its spots follow from Legendre series in wavelength.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Form {
    /// Pixel-integrated Gauss-Hermite functions (GAUSS-HERMITE).
    #[default]
    GaussHermite,
    /// Gauss-Hermite functions of two widths (GAUSS-HERMITE2).
    TwoCores(Box<SecondCore>),
    /// Oversampled images on a grid of slit positions and wavelengths (SPOTGRID, MONOSPOT).
    Grid(Box<SpotGrid>),
    /// Images in pixels, multiplied by powers of the position (PCA-PIX).
    Polynomial(Box<PixelPolynomial>),
}

/// The second core of a GAUSS-HERMITE2 PSF; the first one is cut off at some sigmas.
///
/// Its window is even: `2 (half - 1)` pixels from the one `half - 1` before the trace's on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondCore {
    /// GHNSIG: the first core ends where `(dx / sigma_x)^2 + (dy / sigma_y)^2` reaches its square.
    pub cut: LegendreSeries,
    /// GHSIGX2, pixels.
    pub sigma_x: LegendreSeries,
    /// GHSIGY2, pixels.
    pub sigma_y: LegendreSeries,
    /// GH2-i-j, index `i * (degree_y + 1) + j`.
    pub gh: Vec<LegendreSeries>,
    /// GHDEGX2.
    pub degree_x: usize,
    /// GHDEGY2.
    pub degree_y: usize,
}

impl SecondCore {
    /// Returns the series of the second core in the order of spot parameters.
    pub fn series(&self) -> impl Iterator<Item = &LegendreSeries> {
        [&self.cut, &self.sigma_x, &self.sigma_y].into_iter().chain(&self.gh)
    }
}

/// Images on a grid, and the place of every fibre on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpotGrid {
    /// The images.
    #[serde(with = "shared")]
    pub images: Arc<SpotImages>,
    /// Slit position of each fibre, in the units of the grid.
    pub position: LegendreSeries,
    /// Wavelength, Angstrom: a series like the others.
    pub wave: LegendreSeries,
}

/// Images with powers of the scaled position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelPolynomial {
    /// The images of all groups.
    #[serde(with = "shared")]
    pub images: Arc<PolynomialImages>,
    /// Group of each fibre.
    pub group: LegendreSeries,
    /// `XSCALE (x - X0)` along each trace.
    pub x: LegendreSeries,
    /// `YSCALE (y - Y0)` along each trace.
    pub y: LegendreSeries,
}

impl Form {
    /// Returns the name of the kind, PSFTYPE.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GaussHermite => "GAUSS-HERMITE",
            Self::TwoCores(_) => "GAUSS-HERMITE2",
            Self::Grid(grid) if grid.images.is_single() => "MONOSPOT",
            Self::Grid(_) => "SPOTGRID",
            Self::Polynomial(_) => "PCA-PIX",
        }
    }

    /// Lists the series of this kind alone, by their FITS names.
    pub(super) fn named_series(&self) -> Vec<(String, &LegendreSeries)> {
        match self {
            Self::GaussHermite => Vec::new(),
            Self::TwoCores(core) => core.names().into_iter().zip(core.series()).collect(),
            Self::Grid(grid) => vec![("FIBERPOS".into(), &grid.position), ("SPOTWAVE".into(), &grid.wave)],
            Self::Polynomial(of) => {
                vec![("IGROUP".into(), &of.group), ("XSCALE".into(), &of.x), ("YSCALE".into(), &of.y)]
            }
        }
    }

    /// Lists all series of this kind alone.
    pub(super) fn series_mut(&mut self) -> Vec<&mut LegendreSeries> {
        match self {
            Self::GaussHermite => Vec::new(),
            Self::TwoCores(core) => {
                let SecondCore { cut, sigma_x, sigma_y, gh, .. } = &mut **core;
                [cut, sigma_x, sigma_y].into_iter().chain(gh).collect()
            }
            Self::Grid(grid) => {
                let SpotGrid { position, wave, .. } = &mut **grid;
                vec![position, wave]
            }
            Self::Polynomial(of) => {
                let PixelPolynomial { group, x, y, .. } = &mut **of;
                vec![group, x, y]
            }
        }
    }

    /// Lists the series that a bad fibre takes from its neighbours, by their FITS names.
    pub(super) fn named_series_mut(&mut self) -> Vec<(String, &mut LegendreSeries)> {
        match self {
            Self::GaussHermite => Vec::new(),
            Self::TwoCores(core) => {
                let names = core.names();
                let SecondCore { cut, sigma_x, sigma_y, gh, .. } = &mut **core;
                names.into_iter().zip([cut, sigma_x, sigma_y].into_iter().chain(gh)).collect()
            }
            Self::Grid(grid) => vec![("FIBERPOS".into(), &mut grid.position)],
            // Between groups there is none.
            Self::Polynomial(of) => vec![("XSCALE".into(), &mut of.x), ("YSCALE".into(), &mut of.y)],
        }
    }
}

impl SecondCore {
    fn names(&self) -> Vec<String> {
        let terms = (0..=self.degree_x).flat_map(|i| (0..=self.degree_y).map(move |j| format!("GH2-{i}-{j}")));
        ["GHNSIG", "GHSIGX2", "GHSIGY2"].map(String::from).into_iter().chain(terms).collect()
    }
}

/// Data behind an `Arc`, written as such.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub fn serialize<T: Serialize, S: Serializer>(data: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        (**data).serialize(to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
