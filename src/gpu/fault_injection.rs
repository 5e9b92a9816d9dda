//! Fault injection for tests: which touches of a device fail and how, which stage computes wrongly, and which failure every
//! bundle meets.

use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use super::touch::{Fault, Touch};

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Lost, Self::OutOfMemory, Self::Driver, Self::Hang, Self::Panic, Self::Wrong];

    /// Whether a touch can fail this way.
    pub fn can_be_at(self, touch: Touch) -> bool {
        match self {
            Self::Lost | Self::Driver => true,
            Self::OutOfMemory => !matches!(touch, Touch::Wait | Touch::Map | Touch::Read),
            Self::Hang | Self::Panic => touch == Touch::Wait,
            Self::Wrong => touch == Touch::Read,
        }
    }
}

/// A plan of failures; none by default. Clones share the plan and the count of touches, over all devices opened with it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Mutex<Plan>>>);

#[derive(Debug, Default)]
struct Plan {
    touches: Vec<(Touch, String)>,
    failing: Vec<(Range<usize>, Fault)>,
    met: usize,
    wrong_stage: Option<String>,
    unserved: Option<String>,
}

impl Faults {
    /// Records touches; none fails yet.
    pub fn counting() -> Self {
        Self(Some(Arc::default()))
    }

    /// Makes the output of a stage wrong by up to 1 % from now on; no other stage is.
    pub fn make_wrong(&self, stage: &str) {
        if let Some(mut plan) = self.plan() {
            plan.wrong_stage = Some(stage.to_string());
        }
    }

    /// Makes every bundle fail for the reason of this name at every rung where the reason can occur, from now on.
    pub fn leave_unserved(&self, reason: &str) {
        if let Some(mut plan) = self.plan() {
            plan.unserved = Some(reason.to_string());
        }
    }

    /// Returns the name of the reason for which every bundle has to fail.
    pub(crate) fn unserved(&self) -> Option<String> {
        self.plan().and_then(|plan| plan.unserved.clone())
    }

    /// Reads the plan in the environment variable SPEXTRAL_FAULT, see [`Faults::from_str`].
    pub fn of_environment() -> Self {
        let Ok(plan) = std::env::var("SPEXTRAL_FAULT") else { return Self::default() };
        plan.parse().unwrap_or_else(|refused| {
            tracing::warn!("SPEXTRAL_FAULT: {refused}");
            Self::default()
        })
    }

    /// Restarts the count; the touches numbered `failing`, from 0, fail by `fault` if they can.
    pub fn fail(&self, failing: Range<usize>, fault: Fault) {
        if let Some(mut plan) = self.plan() {
            *plan = Plan { failing: vec![(failing, fault)], ..Plan::default() };
        }
    }

    /// Adds further failing touches without restarting the count.
    pub fn fail_also(&self, failing: Range<usize>, fault: Fault) {
        if let Some(mut plan) = self.plan() {
            plan.failing.push((failing, fault));
        }
    }

    /// Returns the touches so far, in order, each with the name of its buffer, kernel or step.
    pub fn touches(&self) -> Vec<(Touch, String)> {
        self.plan().map(|plan| plan.touches.clone()).unwrap_or_default()
    }

    /// Returns the number of failures so far.
    pub fn met(&self) -> usize {
        self.plan().map_or(0, |plan| plan.met)
    }

    fn plan(&self) -> Option<MutexGuard<'_, Plan>> {
        self.0.as_ref().map(|plan| plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records a touch and returns how it has to fail.
    pub(super) fn touch(&self, touch: Touch, what: &str) -> Option<Fault> {
        let mut plan = self.plan()?;
        let k = plan.touches.len();
        plan.touches.push((touch, what.to_string()));
        let fails = plan.failing.iter().find(|(failing, fault)| failing.contains(&k) && fault.can_be_at(touch));
        let fault = fails?.1;
        plan.met += 1;
        Some(fault)
    }

    /// Whether the output of `stage` has to be wrong; counts as a failure met.
    pub(super) fn makes_wrong(&self, stage: &str) -> bool {
        let Some(mut plan) = self.plan() else { return false };
        let is_wrong = plan.wrong_stage.as_deref() == Some(stage);
        plan.met += usize::from(is_wrong);
        is_wrong
    }
}

/// Changes values by up to 1 %, element by element in an irregular pattern, which no common factor of a later stage cancels.
pub(super) fn perturb(values: &mut [f64]) {
    for (i, value) in values.iter_mut().enumerate() {
        let step = (i as u64).wrapping_mul(2_654_435_761) % 7;
        *value *= 1.0 + 0.01 * (step as f64 - 3.0) / 3.0;
    }
}

impl FromStr for Faults {
    type Err = String;

    /// Reads `FAULT@K` for the K-th touch, `FAULT@K+` for all from there on, `wrong-stage:NAME`, `unserved:REASON`,
    /// several by commas. FAULT is lost, memory, driver, hang, panic or wrong.
    fn from_str(text: &str) -> Result<Self, String> {
        let faults = Self::counting();
        for item in text.split(',') {
            let refuse = || {
                format!(
                    "`{item}` is no fault: FAULT@K or FAULT@K+, FAULT of lost, memory, driver, hang, panic, wrong; \
                     wrong-stage:NAME; or unserved:REASON"
                )
            };
            if let Some(stage) = item.strip_prefix("wrong-stage:") {
                faults.make_wrong(stage);
                continue;
            }
            if let Some(reason) = item.strip_prefix("unserved:") {
                faults.leave_unserved(reason);
                continue;
            }
            let (fault, place) = item.split_once('@').ok_or_else(refuse)?;
            let names = ["lost", "memory", "driver", "hang", "panic", "wrong"];
            let fault = names.iter().position(|name| *name == fault).map(|k| Fault::ALL[k]).ok_or_else(refuse)?;
            let (place, on) = place.strip_suffix('+').map_or((place, false), |place| (place, true));
            let k: usize = place.parse().map_err(|_| refuse())?;
            faults.fail_also(k..if on { usize::MAX } else { k.saturating_add(1) }, fault);
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_touch_that_is_named_fails_and_no_other() {
        let fails =
            |faults: &Faults| [Touch::Open, Touch::Buffer, Touch::Wait, Touch::Buffer].map(|t| faults.touch(t, "x"));
        let memory = Some(Fault::OutOfMemory);
        assert_eq!(fails(&"memory@1".parse().unwrap()), [None, memory, None, None]);
        assert_eq!(fails(&"memory@1+".parse().unwrap()), [None, memory, None, memory], "waiting takes no memory");
        let lost = Some(Fault::Lost);
        assert_eq!(fails(&"lost@0,memory@1,lost@3+".parse().unwrap()), [lost, memory, None, lost]);
        let counting = Faults::counting();
        assert_eq!((fails(&counting), counting.touches().len(), counting.met()), ([None; 4], 4, 0));
        assert_eq!((fails(&Faults::default()), Faults::default().touches()), ([None; 4], vec![]));
        assert!(["lost", "lost@", "lost@x", "pink@3", "lost@3,"].iter().all(|text| text.parse::<Faults>().is_err()));
    }

    #[test]
    fn only_the_named_stage_is_wrong_and_by_no_common_factor() {
        let faults: Faults = "wrong-stage:schur".parse().unwrap();
        assert!(faults.makes_wrong("schur") && !faults.makes_wrong("spots") && faults.met() == 1);
        faults.make_wrong("spots");
        assert!(faults.makes_wrong("spots") && !faults.makes_wrong("schur") && !Faults::default().makes_wrong("spots"));
        let mut values = [1.0; 7];
        perturb(&mut values);
        values.sort_by(f64::total_cmp);
        assert!(values.iter().zip(-3..).all(|(v, k)| (v - 1.0 - 0.01 * f64::from(k) / 3.0).abs() < 1e-15));
    }
}
