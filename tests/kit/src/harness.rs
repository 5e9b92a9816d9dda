//! The harness of a test binary. The compiler's own harness ignores tests by an attribute; only a running test knows whether
//! its GPU, file or program is present.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;

/// A registered test.
pub struct Test {
    /// Path of the function, the binary's name first.
    pub name: &'static str,
    pub run: fn(),
}

inventory::collect!(Test);

/// Registers a function as a test; the attribute `#[test]` expands to it.
#[macro_export]
macro_rules! register {
    ($name:ident) => {
        $crate::inventory::submit! {
            $crate::Test { name: concat!(module_path!(), "::", stringify!($name)), run: $name }
        }
    };
}

/// Prints a measured number, as `println!`: with `--nocapture` at once, otherwise only if the test fails.
#[macro_export]
macro_rules! note {
    ($($argument:tt)*) => { $crate::note(format!($($argument)*)) };
}

/// The reason why a test cannot run here, as the payload of a panic.
struct Ignored(String);

/// Ends the running test, which is reported as ignored with this reason.
pub fn ignore(reason: impl Into<String>) -> ! {
    // A panic without its message on the standard error.
    resume_unwind(Box::new(Ignored(reason.into())))
}

thread_local! {
    static NOTES: RefCell<String> = const { RefCell::new(String::new()) };
}

static AT_ONCE: OnceLock<bool> = OnceLock::new();

/// Prints or keeps a line; see [`note!`](crate::note!).
pub fn note(line: String) {
    match AT_ONCE.get() {
        // Within the compiler's harness, which captures it.
        None | Some(true) => println!("{line}"),
        Some(false) => NOTES.with_borrow_mut(|notes| *notes += &format!("{line}\n")),
    }
}

/// Runs the tests of this binary that its command line selects.
///
/// # Panics
/// If the binary has no tests: its root lacks `#[macro_use(test)] extern crate testkit;`.
pub fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    AT_ONCE.set(arguments.nocapture || arguments.show_output).expect("a binary has one main");
    let mut tests: Vec<&Test> = inventory::iter::<Test>.into_iter().collect();
    assert!(!tests.is_empty(), "no test is registered");
    tests.sort_by_key(|test| test.name);
    let trials = tests.into_iter().map(|test| {
        let name = test.name.split_once("::").map_or(test.name, |(_, name)| name);
        Trial::ignorable_test(name, || outcome(test.run))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn outcome(test: fn()) -> Result<Completion, Failed> {
    NOTES.take();
    let Err(payload) = catch_unwind(test) else { return Ok(Completion::Completed) };
    match payload.downcast::<Ignored>() {
        Ok(ignored) => Ok(Completion::ignored_with(ignored.0)),
        Err(panic) => Err(Failed::from(format!("{}{}", NOTES.take(), message(&*panic)))),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}
