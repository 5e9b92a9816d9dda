//! Everything that must hold before a change lands.

use crate::{clients, deny, docs, floors, prose, python, setup, steps};

/// Checks format, lints, floors, prose, documentation, dependencies, tests with MPI where it is installed, clients, the Python package and
/// the documentation's commands.
///
/// # Errors
/// The first step that fails.
pub fn run(install: bool) -> Result<(), String> {
    let ready = setup::prepare(install || steps::in_ci())?;

    steps::run(steps::cargo().args(["fmt", "--all", "--check"]))?;
    let mut clippy = steps::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets"]);
    if ready.python {
        clippy.args(["--features", "spextral-python/extension"]);
    }
    steps::run(clippy.args(["--", "-D", "warnings"]))?;
    floors::run()?;
    prose::run(false)?;
    steps::run(steps::cargo().args(["doc", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;

    deny::run()?;

    if ready.mpi {
        steps::run(steps::cargo().args(["clippy", "--features", "mpi", "--all-targets", "--", "-D", "warnings"]))?;
    }
    let mut tests = steps::cargo();
    // MPI with the others, as a second selection of features compiles the package a second time.
    tests.args(["test", "--workspace", "--no-fail-fast"]).args(setup::test_features());
    if steps::in_ci() {
        // A test that finds no device or no browser must not pass unseen where one was installed.
        tests.env("SPEXTRAL_REQUIRE_GPU", "1").env("SPEXTRAL_REQUIRE_BROWSER", "1");
    }
    steps::run(&mut tests)?;

    if ready.python {
        clients::run()?;
        python::run()?;
        docs::run()?;
    }
    conclude(ready.left_out(), steps::in_ci())
}

/// Prints to a developer which tests were left out; fails where a service tests, as nobody reads it there.
fn conclude(left_out: Option<String>, in_ci: bool) -> Result<(), String> {
    match left_out {
        Some(left_out) if in_ci => return Err(format!("what ran passed, but some tests were left out: {left_out}")),
        Some(left_out) => println!("\nall tests passed\nleft out: {left_out}"),
        None => println!("\nall tests passed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::conclude;

    #[test]
    fn what_is_left_out_fails_where_a_service_tests_and_only_there() {
        assert!(conclude(Some("clients".into()), true).is_err_and(|message| message.contains("clients")));
        assert_eq!(conclude(Some("clients".into()), false), Ok(()));
        assert_eq!(conclude(None, true), Ok(()));
    }
}
