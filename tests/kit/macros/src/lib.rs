//! The attribute that registers a test with the testkit's harness.

use proc_macro::TokenStream;

/// Registers a function without arguments as a test.
///
/// `#[macro_use(test)] extern crate testkit;` at the root of a test binary puts it in the place of the compiler's own
/// `#[test]`. So no test of the binary can be left out.
#[proc_macro_attribute]
pub fn test(_: TokenStream, function: TokenStream) -> TokenStream {
    let mut tokens = function.clone().into_iter().skip_while(|token| token.to_string() != "fn");
    let name = tokens.nth(1).expect("`fn` is followed by a name");
    let registration: TokenStream = format!("::testkit::register!({name});").parse().expect("a macro call");
    [function, registration].into_iter().collect()
}
