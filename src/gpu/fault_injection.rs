//! Failures on order: how tests see what becomes of a frame when a device fails. Inert unless asked for.

use std::ops::Range;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A place where the library touches a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Opening it.
    Open,
    /// Creating a buffer of any kind.
    Buffer,
    /// Writing to a buffer.
    Write,
    /// Compiling a shader into a pipeline.
    Kernel,
    /// Binding buffers.
    BindGroup,
    /// Creating timestamps.
    Queries,
    /// Handing commands over.
    Submit,
    /// Waiting for them.
    Wait,
    /// Asking for a buffer on the host.
    Map,
    /// Reading it there.
    Read,
}

/// How a touch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device is destroyed, as when its driver is reset.
    Lost,
    /// There is no memory left.
    OutOfMemory,
    /// The driver reports an error of its own.
    Driver,
    /// The device never answers.
    Hang,
    /// wgpu panics, as version 30 does where a device is lost while it is waited for.
    Panic,
    /// A number is wrong.
    Wrong,
}

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

/// Which touches of a device fail, and how: none by default. Clones are the same plan, and count the touches of all devices
/// opened with it.
///
/// For tests; those of the binary give one in its environment, `SPEXTRAL_FAULT=lost@120`.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Mutex<Plan>>>);

#[derive(Debug, Default)]
struct Plan {
    touches: Vec<(Touch, String)>,
    failing: Vec<(Range<usize>, Fault)>,
    met: usize,
}

impl Faults {
    /// No failure yet, but touches are noted.
    pub fn counting() -> Self {
        Self(Some(Arc::default()))
    }

    /// The plan in the environment's SPEXTRAL_FAULT, as in [`Faults::from_str`]: how tests of the binary see failures.
    pub fn of_environment() -> Self {
        let Ok(words) = std::env::var("SPEXTRAL_FAULT") else { return Self::default() };
        words.parse().unwrap_or_else(|refused| {
            tracing::warn!("SPEXTRAL_FAULT: {refused}");
            Self::default()
        })
    }

    /// Begins to count anew; the touches numbered `failing`, from 0, fail where they can fail so.
    pub fn fail(&self, failing: Range<usize>, fault: Fault) {
        if let Some(mut plan) = self.plan() {
            *plan = Plan { failing: vec![(failing, fault)], ..Plan::default() };
        }
    }

    /// Others fail besides; counting goes on.
    pub fn fail_also(&self, failing: Range<usize>, fault: Fault) {
        if let Some(mut plan) = self.plan() {
            plan.failing.push((failing, fault));
        }
    }

    /// The touches so far, in order, and what was touched; empty where none are noted.
    pub fn touches(&self) -> Vec<(Touch, String)> {
        self.plan().map(|plan| plan.touches.clone()).unwrap_or_default()
    }

    /// How many have failed.
    pub fn met(&self) -> usize {
        self.plan().map_or(0, |plan| plan.met)
    }

    fn plan(&self) -> Option<MutexGuard<'_, Plan>> {
        self.0.as_ref().map(|plan| plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a touch; how it is to fail.
    pub(super) fn touch(&self, touch: Touch, what: &str) -> Option<Fault> {
        let mut plan = self.plan()?;
        let k = plan.touches.len();
        plan.touches.push((touch, what.to_string()));
        let fails = plan.failing.iter().find(|(failing, fault)| failing.contains(&k) && fault.can_be_at(touch));
        let fault = fails?.1;
        plan.met += 1;
        Some(fault)
    }
}

impl FromStr for Faults {
    type Err = String;

    /// `FAULT@K` for the K-th touch, `FAULT@K+` for all from there on, several by commas; FAULT is lost, memory, driver, hang,
    /// panic or wrong.
    fn from_str(words: &str) -> Result<Self, String> {
        let faults = Self::counting();
        for words in words.split(',') {
            let refuse = || {
                format!("`{words}` is no fault: FAULT@K or FAULT@K+, FAULT of lost, memory, driver, hang, panic, wrong")
            };
            let (fault, place) = words.split_once('@').ok_or_else(refuse)?;
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
        assert!(["lost", "lost@", "lost@x", "pink@3", "lost@3,"].iter().all(|words| words.parse::<Faults>().is_err()));
    }
}
