//! Reasons why traces are not found.

use super::pattern::FEWEST;

/// Most places in a sentence.
const PLACES: usize = 8;

/// Reason why traces are not found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The frames are of different size.
    #[error("the arc has {arc:?} rows and columns, the flat {flat:?}; give frames of one camera")]
    Shape {
        /// Rows and columns of the arc.
        arc: [usize; 2],
        /// Rows and columns of the flat.
        flat: [usize; 2],
    },
    /// The flat shows no fibre.
    #[error(
        "the flat shows no fibres; give one whose fibres stand out of the noise, or the direction of their spectra"
    )]
    NoFibres,
    /// There are not as many fibres as there should be.
    #[error(
        "the flat shows {found} fibres, not {wanted}{}; give the right number of fibres, or those without light",
        at_gaps(gaps)
    )]
    Count {
        /// Number of fibres.
        found: usize,
        /// Their number by the options.
        wanted: usize,
        /// Places of gaps that may hold some, and how many.
        gaps: Vec<(f64, usize)>,
    },
    /// A fibre without light is beyond the others.
    #[error("fibre {fibre} without light is beyond the {found} that the flat shows")]
    Broken {
        /// The fibre.
        fibre: usize,
        /// Number of fibres so far.
        found: usize,
    },
    /// A fibre without light has no room between its neighbours.
    #[error(
        "there is no room for fibre {fibre} without light: its neighbours at pixels {:.1} and {:.1} are {:.1} pixels apart, and usual are \
         {pitch:.1}{}; numbers count from 0",
        between[0], between[1], between[1] - between[0], at_gaps(gaps)
    )]
    NoRoom {
        /// The fibre.
        fibre: usize,
        /// Places of the fibres on either side.
        between: [f64; 2],
        /// Usual distance of neighbours there.
        pitch: f64,
        /// Places of gaps that may hold some, and how many.
        gaps: Vec<(f64, usize)>,
    },
    /// The arc has too few lines.
    #[error("the arc shows {found} lines in most fibres, at least {FEWEST} are needed; give a brighter arc")]
    FewPeaks {
        /// Number of lines.
        found: usize,
    },
    /// The list has too few lines.
    #[error(
        "the list has {found} lines there, at least {FEWEST} are needed; give a list of the lamp, and the right range"
    )]
    FewLines {
        /// Number of lines.
        found: usize,
    },
    /// The pattern of the lines is not that of the list.
    #[error(
        "the {peaks} lines of the arc are not identified: at best {matched} are where the list has one, which may be chance; give the list of \
         this lamp, and the range of wavelengths (to a tenth)"
    )]
    Pattern {
        /// Lines of the arc.
        peaks: usize,
        /// Those with a line of the list.
        matched: usize,
    },
}

fn at_gaps(gaps: &[(f64, usize)]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let place = |(at, room): &(f64, usize)| match room {
        1 => format!("one more at pixel {at:.0}"),
        more => format!("{more} more at pixel {at:.0}"),
    };
    let places: Vec<String> = gaps.iter().take(PLACES).map(place).collect();
    format!(", with room for {}", places.join(", "))
}
