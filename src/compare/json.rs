//! The fields of `spextral compare` in JSON: parity, and chi against the truth. Numbers that are not finite are null.

use super::parity::{Bin, LIMITS, Parity};
use super::truth::{ChiReport, SnrBand};
use serde_json::{Value, json};

impl Parity {
    /// Returns all fields.
    pub fn json(&self) -> Value {
        let [a, b] = &self.names;
        let [only_a, only_b] = self.one_sided;
        let masks = self.masks.map(|[equal, different]| json!({ "equal": equal, "different": different }));
        json!({
            "a": a, "b": b, "fibres": self.fibres, "wavelengths": self.waves, "limits": LIMITS,
            "all_bins": self.all, "good_bins": self.good,
            "usable_in_a_alone": only_a, "usable_in_b_alone": only_b, "masks": masks,
            "worst_bins": self.worst.iter().map(bin).collect::<Vec<_>>(),
        })
    }
}

fn bin(of: &Bin) -> Value {
    let [a, b] = of.flux;
    json!({
        "fibre": of.fibre, "wavelength": of.wave, "flux_a": a, "flux_b": b, "sigma": of.sigma,
        "difference": of.difference, "good": of.good,
    })
}

impl ChiReport {
    /// Returns all fields. The last band of S/N has no upper end: it is null.
    pub fn json(&self) -> Value {
        let band = |band: &SnrBand| {
            let [from, to] = band.snr;
            json!({ "snr_from": from, "snr_to": to, "bins": band.bins, "mean": band.mean, "std": band.std })
        };
        json!({
            "bins": self.bins, "left_out": self.left_out, "mean": self.mean, "std": self.std,
            "largest": self.largest, "by_snr": self.by_snr.iter().map(band).collect::<Vec<_>>(),
        })
    }
}
