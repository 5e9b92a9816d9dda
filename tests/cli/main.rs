//! The real binary, run in a fresh folder: exit codes, what it says, what it leaves behind.

mod around;
mod bad_files;
mod bad_options;
mod comparisons;
mod json;
mod like;
mod manual;
mod offline;
mod outputs;
mod report;
mod run;
mod use_cases;
