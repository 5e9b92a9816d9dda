//! Cholesky, Schur complements and Jacobi against nalgebra, over sizes, batches and difficult matrices.

mod cholesky;
mod jacobi;
mod matrices;
mod schur;
