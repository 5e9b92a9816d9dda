//! The command line: text becomes a checked request, one file per subcommand.

#[cfg(feature = "simulate")]
mod bench;
pub mod command_line;
mod compare;
#[cfg(all(feature = "plot", feature = "simulate"))]
mod demo;
mod device_arguments;
mod devices;
mod exposure;
mod extract;
mod fit_psf;
pub mod json;
mod like;
pub mod logging;
#[cfg(feature = "simulate")]
mod make_psf;
mod manual;
pub mod output;
mod peer_flags;
#[cfg(feature = "plot")]
mod plot_psf;
mod psf_convert;
mod psf_info;
#[cfg(feature = "plot")]
mod report;
mod request_options;
mod signals;
#[cfg(feature = "simulate")]
mod simulate;
