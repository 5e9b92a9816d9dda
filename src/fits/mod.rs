//! Reading and writing FITS files: one file per file type.
//!
//! | file | content |
//! |---|---|
//! | `preproc`, `psf`, `psf_write`, `frame` | the file types: their HDUs as the types of the crate |
//! | `psf_table`, `psf_axes`, `psf_fibres` | a Gauss-Hermite table; the axis of dispersion; numbers, bundles and ranges of fibres |
//! | `psf_sampled`, `psf_irregular` | PSFs of sampled spots, on a grid or at any places |
//! | `reader`, `hdu`, `writer`, `blocks` | an open file and its HDUs; a new file with checksums; units of both |
//! | `bytes`, `positioned_io`, `gzip`, `checksum` | bytes by their position; gzip on all threads; sums in any order |
//! | `preproc_options`, `weights`, `companions` | how a preproc frame is read; its image and the weights under any name; those of one detector of several |
//! | `image`, `tiles`, `table` | pixels, plain and tile-compressed; binary tables |
//! | `line_list`, `arc_lines`, `night_sky`, `truth` | wavelengths of a lamp; built-in lists; true spectra |
//! | `spot_table` | measured spots and plain traces, of which a PSF is made |
//! | `keywords` | cards that belong to one file |
//! | `first_cards` | the cards at the beginning of a file, without its pixels |
//! | `verify` | the check of a whole file by its checksums, and its digest |
//!
//! Cards and tables themselves are plain data of [`crate::frame`]. Every writer returns a [`PendingFile`], which takes its
//! name by [`PendingFile::persist`].

mod arc_lines;
mod blocks;
mod bytes;
mod checksum;
mod companions;
mod error;
mod first_cards;
mod frame;
mod gzip;
mod hdu;
mod image;
mod keywords;
mod line_list;
mod night_sky;
mod positioned_io;
mod preproc;
mod preproc_options;
mod psf;
mod psf_axes;
mod psf_fibres;
mod psf_irregular;
mod psf_sampled;
mod psf_table;
mod psf_write;
mod reader;
mod spot_table;
mod table;
mod tiles;
mod truth;
mod verify;
mod wave_table;
mod weights;
mod writer;

pub use crate::base::atomic_file::PendingFile;
pub use crate::frame::{ColumnData, Header, Table, Value};
pub use arc_lines::{arc_lines, builtin_elements, read_line_list};
pub use error::FitsError;
pub use first_cards::read_first_cards;
pub use frame::{read_frame, write_frame, write_model};
pub use image::read_image_f64;
pub use line_list::{Line, Medium};
pub use night_sky::night_sky_lines;
pub(crate) use preproc::preproc_of;
pub use preproc::{Preproc, read_preproc, write_preproc};
pub use preproc_options::PreprocOptions;
pub(crate) use psf::psf_of;
pub use psf::{read_psf, read_psf_with};
pub use psf_write::{PsfExtras, write_psf, write_psf_with};
pub use reader::read_headers;
pub(crate) use reader::with_digest;
pub use spot_table::{FittedPsf, psf_from_spots};
pub use table::read_fibermap;
pub use truth::{Truth, read_truth, write_truth};
pub use verify::{digest, verify};
pub use wave_table::read_wave_table;
pub use weights::is_electron;
pub use writer::{Image, Pixels, write_images};
