//! Every shader against its CPU twin, in each precision of the device.

mod banded;
mod case;
mod cholesky;
mod decorrelate;
mod finish;
mod functions;
mod goodness;
mod jacobi;
mod matrices;
mod model;
mod normal_equations;
mod patch_stages;
mod schur;
mod spots;
mod traces;
