//! Errors of the barycentric correction.

/// Errors of the barycentric correction.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum BarycentricError {
    /// A header lacks keywords.
    #[error("no {wanted} in the header of {place}; add it or leave out the barycentric correction")]
    Missing {
        /// The keywords.
        wanted: &'static str,
        /// The HDUs searched.
        place: &'static str,
    },
    /// A keyword has an invalid value.
    #[error("{keyword} = {value} is not {wanted}; correct it or leave out the barycentric correction")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// Its value.
        value: String,
        /// The value required.
        wanted: &'static str,
    },
    /// The header has only a part of the observatory's position.
    #[error("{given} = {value} without {missing} is no site; add it, or leave out both")]
    HalfSite {
        /// The keyword present.
        given: &'static str,
        /// Its value.
        value: String,
        /// The keyword missing.
        missing: &'static str,
    },
    /// The header has two positions.
    #[error(
        "{first} and {second} are {distance:.0} km apart; correct one (degrees are positive to the east and the north) or leave it out"
    )]
    TwoSites {
        /// The keywords of one position.
        first: String,
        /// The keywords of the other.
        second: String,
        /// Distance in km.
        distance: f64,
    },
    /// The header names an observatory, but not its position.
    #[error(
        "no position of {keyword} = {value} in the header; add OBSGEO-X, OBSGEO-Y and OBSGEO-Z (metre), or OBS-LONG, OBS-LAT and OBS-ELEV (degrees east, degrees, metre), or leave out the barycentric correction"
    )]
    UnknownSite {
        /// The keyword.
        keyword: &'static str,
        /// The observatory or telescope.
        value: String,
    },
}
