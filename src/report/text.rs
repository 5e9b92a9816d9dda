//! Text and numbers as HTML.

/// Escapes text, so that it is never markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nor is it a placeholder of page.html.
            '{' => out.push_str("&#123;"),
            other => out.push(other),
        }
    }
    out
}

/// Formats a number with few digits.
pub fn few_digits(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "none".into(),
        size if size > 0.0 && size < 5e-4 => "≈ 0".into(),
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
