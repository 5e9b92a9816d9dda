//! Fibres that share light with more than the next ones, of which a window knows its own and some around.

use spextral::stages::banded::{
    BandedNormal, Decorrelated, OVER_ESTIMATE, Part, SolverParameters, Wanted, banded_decorrelation,
};
use std::ops::Range;
use testkit::maximum;

const FIBRES: usize = 160;
const BINS: usize = 60;

/// A coupling that a recursion over the next fibres lacks too much of, next to the two fibres only.
const WEAK: f64 = 3e-5;

/// Two fibres that are coupled although one lies between them.
const FAR: [usize; 2] = [20, 22];

/// Equations of fibres that are coupled with the next ones, and the two farther apart, `far` strongly; and their solution.
fn equations(far: f64) -> (BandedNormal, Vec<Vec<f64>>) {
    let row = |of: [f64; 3]| (0..BINS).flat_map(move |_| of).collect::<Vec<f64>>();
    let [one, other] = FAR;
    let mut pairs = vec![vec![row([0.0, 0.1, 0.0]); FIBRES - 1], vec![row([0.0; 3]); FIBRES - 2]];
    pairs[1][one] = row([0.0, far, 0.0]);
    let column = |i: usize| if i + 1 < BINS { [1.0, 0.1] } else { [1.0, 0.0] };
    let diagonal = vec![(0..BINS).flat_map(column).collect(); FIBRES];
    let x = |f: usize, i: usize| 300.0 * (1.5 + ((7 * f + 3 * i) as f64).sin());
    let rhs = |f: usize, i: usize| {
        let bins = [i.checked_sub(1), Some(i + 1).filter(|i| *i < BINS)].into_iter().flatten().map(|i| x(f, i));
        let fibres = [f.checked_sub(1), Some(f + 1).filter(|f| *f < FIBRES)].into_iter().flatten().map(|f| x(f, i));
        let beyond = if f == one {
            far * x(other, i)
        } else if f == other {
            far * x(one, i)
        } else {
            0.0
        };
        x(f, i) + 0.1 * bins.chain(fibres).sum::<f64>() + beyond
    };
    let all = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        (0..FIBRES).map(|f| (0..BINS).map(|i| of(f, i)).collect()).collect()
    };
    (BandedNormal { n: BINS, half: 1, diagonal, pairs, rhs: all(&rhs) }, all(&x))
}

/// Q of some fibres of a window, which knows so many around some of them.
fn decorrelated(
    (normal, x): &(BandedNormal, Vec<Vec<f64>>),
    core: Range<usize>,
    around: Option<usize>,
    fibres: &[usize],
) -> Vec<Decorrelated> {
    let parameters = SolverParameters::measure(normal, 1e-5, 0.8, 30, 0.1).unwrap();
    let timed = |_: Part, work: &mut dyn FnMut()| work();
    let counts = |fibre: usize, _: usize| core.contains(&fibre);
    let wanted = Wanted { core: core.clone(), around, fibres, half: 1, counts: &counts };
    banded_decorrelation(normal, x, &parameters, &wanted, &timed).unwrap().0
}

/// The largest difference of two spectra of a fibre, sigma.
fn difference(one: &Decorrelated, other: &Decorrelated) -> f64 {
    let flux = |of: &Decorrelated, i: usize| of.root.qx[i] + of.root.correction[i];
    maximum((0..BINS).map(|i| (flux(one, i) - flux(other, i)).abs()))
}

/// The error that is reported of a fibre, sigma.
fn reported(of: &Decorrelated) -> f64 {
    OVER_ESTIMATE * maximum(of.root.truncation_error.iter().copied())
}

#[test]
fn couplings_of_fibres_just_beyond_a_window_are_made_up_for_in_it() {
    let equations = equations(0.03);
    let run = |core: Range<usize>, around| decorrelated(&equations, core.clone(), around, &core.collect::<Vec<_>>());
    // Of all fibres at once the frontier is as wide as the overlap, and exact.
    let exact = run(0..FIBRES, None);
    for window in [0..20, 23..FIBRES, 0..21, 21..FIBRES] {
        for (fibre, ours) in window.clone().zip(run(window.clone(), Some(10))) {
            let error = reported(&ours);
            assert!(error <= 1e-5, "fibre {fibre} of {window:?}: {error:e} reported");
            let off = difference(&ours, &exact[fibre]);
            assert!(off <= 2e-5, "fibre {fibre} of {window:?}: {off:e}");
        }
    }
}

#[test]
fn few_fibres_that_overlap_farther_have_a_wider_frontier_for_themselves() {
    let equations = equations(WEAK);
    let all: Vec<usize> = (0..FIBRES).collect();
    let exact = decorrelated(&equations, 0..FIBRES, None, &all);
    let ours = decorrelated(&equations, 0..FIBRES, Some(10), &all);
    for (fibre, (exact, ours)) in exact.iter().zip(&ours).enumerate() {
        let error = reported(ours);
        assert!(error <= 1e-5, "fibre {fibre}: {error:e} reported");
        let off = difference(exact, ours);
        assert!(off <= 1e-5, "fibre {fibre}: {off:e}");
    }
    let chosen = [3, 19, 21, 22, 40];
    for (some, fibre) in decorrelated(&equations, 0..FIBRES, Some(10), &chosen).iter().zip(chosen) {
        assert_eq!(some.root, ours[fibre].root, "fibre {fibre} does not depend on the selection");
    }
}
