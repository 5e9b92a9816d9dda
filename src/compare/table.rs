//! The parity table as text.

use super::parity::{Differences, LIMITS, Parity, Spread};
use std::fmt;

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.names;
        writeln!(f, "A = {a}\nB = {b}")?;
        writeln!(f, "{} common fibres, {} common wavelengths", self.fibres, self.waves)?;
        writeln!(f)?;
        write!(f, "{:<24}{:>10}", "fraction of bins below", "bins")?;
        for limit in LIMITS {
            write!(f, "{:>9}", if limit < 1.0 { format!("{limit:.0e}") } else { "1".into() })?;
        }
        writeln!(f, "{:>11}{:>9}", "worst", "not fin.")?;
        block(f, "all bins", &self.all)?;
        block(f, "pixmask_fraction < 0.5", &self.good)?;
        writeln!(f)?;
        let [only_a, only_b] = self.one_sided;
        if only_a + only_b > 0 {
            writeln!(f, "bins usable in A alone: {only_a}, in B alone: {only_b}")?;
        }
        if let Some([equal, unequal]) = self.masks {
            writeln!(f, "masks: equal in {equal} bins, different in {unequal}")?;
        }
        writeln!(f, "worst bins:")?;
        let head = ["fibre", "Angstrom", "flux A", "flux B", "sigma B", "|dflux|/sigma"];
        writeln!(f, "{:>7}{:>11}{:>15}{:>15}{:>12}{:>15}", head[0], head[1], head[2], head[3], head[4], head[5])?;
        for w in &self.worst {
            let [a, b] = w.flux;
            write!(f, "{:>7}{:>11.3}{a:>15.6}{b:>15.6}{:>12.4}{:>15.3e}", w.fibre, w.wave, w.sigma, w.difference)?;
            writeln!(f, "{}", if w.good { "" } else { "  (masked)" })?;
        }
        Ok(())
    }
}

fn block(f: &mut fmt::Formatter<'_>, title: &str, differences: &Differences) -> fmt::Result {
    writeln!(f, "{title}")?;
    row(f, "  |dflux|/sigma", &differences.flux)?;
    row(f, "  |dsigma|/sigma", &differences.sigma)?;
    match &differences.resolution {
        Some(resolution) => row(f, "  |dR|", resolution),
        None => Ok(()),
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, spread: &Spread) -> fmt::Result {
    write!(f, "{name:<24}{:>10}", spread.bins)?;
    for below in spread.below {
        // Cut, not rounded: 1.00000 is written only where no bin is left out.
        let fraction = (1e5 * below as f64 / spread.bins.max(1) as f64).floor() / 1e5;
        write!(f, "{fraction:>9.5}")?;
    }
    writeln!(f, "{:>11.2e}{:>9}", spread.worst, spread.not_finite)
}
