//! Manual pages and completions agree with `--help`.

use std::process::Command;
use testkit::{Folder, binary};

/// Reads the first column of a help text: commands, or long options.
fn listed(help: &str, options: bool) -> Vec<String> {
    let words = help.lines().filter(|line| line.starts_with("  ")).map(str::trim_start);
    match options {
        true => words
            .filter(|line| line.starts_with('-'))
            .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
            .map(String::from)
            .collect(),
        false => {
            let commands = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
            // A line with a deeper indent continues the one before.
            let first =
                commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
            first.map(String::from).collect()
        }
    }
}

fn help(words: &[&str]) -> String {
    let output = Command::new(binary()).args(words).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_has_a_manual_page_with_all_its_options() {
    let folder = Folder::new();
    folder.run(&["man", "-o", "man1"]).succeeds();
    let page = |name: &str| {
        let text = std::fs::read_to_string(folder.path(&format!("man1/{name}.1"))).unwrap();
        text.replace('\\', "") // roff writes \- for a hyphen
    };
    let commands: Vec<String> = listed(&help(&[]), false).into_iter().filter(|name| name != "help").collect();
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        assert!(page("spextral").contains(&format!("spextral-{command}")), "{command} is not in spextral.1");
        let (page, options) = (page(&format!("spextral-{command}")), listed(&help(&[command]), true));
        assert!(options.contains(&"--help".to_string()), "{options:?}");
        for option in options {
            assert!(page.contains(&option), "spextral-{command}.1 says nothing of {option}");
        }
    }
}

#[test]
fn completions_know_all_commands_in_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = folder.run(&["completions", shell]);
        run.succeeds();
        for command in listed(&help(&[]), false) {
            assert!(run.stdout.contains(&command), "{shell} does not complete {command}");
        }
    }
}

#[test]
fn short_help_fits_a_screen_and_the_whole_has_more() {
    let lines = |words: &[&str], flag: &str| {
        let output = Command::new(binary()).args(words).arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    for command in listed(&help(&[]), false).iter().filter(|name| *name != "help") {
        let [short, whole] = ["-h", "--help"].map(|flag| lines(&[command], flag));
        assert!(short <= 52 && short < whole, "spextral {command} -h has {short} lines, --help {whole}");
        assert!(help(&[command]).contains("Examples:\n  spextral"), "{command}");
    }
}

#[test]
fn usage_says_what_is_required() {
    let usage = help(&["extract"]);
    assert!(usage.contains("Usage: spextral extract -i PREPROC -p PSF -o FRAME [OPTIONS]"), "{usage}");
    assert!(help(&["exposure"]).contains("spextral exposure --night N [--expid E]"));
}

#[test]
fn manual_pages_have_the_sections_of_a_manual() {
    let folder = Folder::new();
    folder.run(&["man", "-o", "man1"]).succeeds();
    let page = std::fs::read_to_string(folder.path("man1/spextral-extract.1")).unwrap();
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "EXAMPLES",
        "\"EXIT STATUS\"",
        "FILES",
        "ENVIRONMENT",
        "\"SEE ALSO\"",
    ] {
        assert!(page.contains(&format!(".SH {section}\n")), "no {section}");
    }
    let examples = page.split(".SH EXAMPLES\n").nth(1).unwrap().replace('\\', "");
    assert!(examples.starts_with(".nf\nspextral extract -i preproc-r0-00051060.fits.gz -p"), "{examples}");
    assert!(!page.contains(".SH EXTRA\n"));
}
