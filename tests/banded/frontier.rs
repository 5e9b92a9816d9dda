//! Fibres that share light with more than the next ones, of which a window knows its own and some around.

use spextral::stages::banded::{BandedNormal, Decorrelated, Part, SolverParameters, Wanted, banded_decorrelation};

const FIBRES: usize = 48;
const BINS: usize = 60;

/// Two fibres that are coupled although one lies between them, and how strongly.
const FAR: ([usize; 2], f64) = ([20, 22], 0.03);

/// Equations of fibres that are coupled with the next ones, and the two farther apart; and their solution.
fn equations() -> (BandedNormal, Vec<Vec<f64>>) {
    let row = |of: [f64; 3]| (0..BINS).flat_map(move |_| of).collect::<Vec<f64>>();
    let ([one, other], far) = FAR;
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

#[test]
fn couplings_of_fibres_just_beyond_a_window_are_made_up_for_in_it() {
    let (normal, x) = equations();
    let parameters = SolverParameters::measure(&normal, 1e-5, 0.8, 30, 0.1).unwrap();
    let timed = |_: Part, work: &mut dyn FnMut()| work();
    let run = |core: std::ops::Range<usize>, around: Option<usize>| {
        let fibres: Vec<usize> = core.clone().collect();
        let counts = |fibre: usize, _: usize| core.contains(&fibre);
        let wanted = Wanted { core: core.clone(), around, fibres: &fibres, half: 1, counts: &counts };
        banded_decorrelation(&normal, &x, &parameters, &wanted, &timed).unwrap().0
    };
    let flux = |of: &Decorrelated, i: usize| of.root.qx[i] + of.root.correction[i];
    // Of all fibres at once the frontier is as wide as the overlap, and exact.
    let exact = run(0..FIBRES, None);
    for window in [0..20, 23..FIBRES, 0..21, 21..FIBRES] {
        for (fibre, ours) in window.clone().zip(run(window.clone(), Some(10))) {
            assert!(ours.error <= 1e-5, "fibre {fibre} of {window:?}: {:e} told", ours.error);
            for i in 0..BINS {
                let off = (flux(&ours, i) - flux(&exact[fibre], i)).abs();
                assert!(off <= 2e-5, "fibre {fibre} of {window:?}, bin {i}: {off:e}");
            }
        }
    }
}
