//! The stages around the linear algebra on one DESI patch: 7 fibres by 74 bins, one thread.

use criterion::{Criterion, criterion_group, criterion_main};
use spextral::backend::{Decorrelate, Engine};
use spextral::geometry::Ccd;
use spextral::plan::{Batch, PatchOptions, batches, half_bandwidth, patches};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use spextral::stages::normal_equations::PatchPrior;

/// Bins of the grid: one patch.
const NWAVE: usize = 50;

const CPU: &str = "only a GPU can fail";

fn stages(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    let psf = Synthetic { nfibre: 25, ..Synthetic::default() }.build().expect("a DESI-like PSF");
    let preproc = simulate(&psf, &Simulation::default()).expect("a DESI-like frame").preproc;
    let preproc = preproc.masked_by(u32::MAX).expect("the mask of its pixels");
    let ccd = &preproc.ccd;
    let options = PatchOptions::default();
    let bins = NWAVE + 2 * options.padding() + options.nwavestep;
    let wave: Vec<f64> = (0..bins).map(|i| 6500.0 + 0.8 * i as f64).collect();
    let engine = Engine::cpu();
    let bench = |criterion: &mut Criterion, name: &str, work: &(dyn Fn() + Sync)| {
        criterion.bench_function(name, |b| b.iter(|| pool.install(work)));
    };

    let traces = engine.traces(&psf, 0..25, &wave, false).expect(CPU);
    bench(criterion, "25 fibres x 124 bins: traces", &|| drop(engine.traces(&psf, 0..25, &wave, false)));
    let spots = engine.spots(&traces, 0..bins).expect(CPU);
    bench(criterion, "25 fibres x 124 bins: spots", &|| drop(engine.spots(&traces, 0..bins)));
    let batch = middle_patch(&options, &traces, ccd);
    let ccd = engine.load(ccd);
    let prior = PatchPrior { regularize: 0.0, largest_weight: None };
    let normal = engine.normal_equations(&batch, &ccd, &traces, &spots, prior).expect(CPU);
    bench(criterion, "patch: normal equations", &|| {
        drop(engine.normal_equations(&batch, &ccd, &traces, &spots, prior));
    });
    let (x, _) = engine.solve(&batch, &normal).expect(CPU);
    let (complements, _) = engine.schur(&batch, &normal).expect(CPU);
    let (modes, _) = engine.jacobi(&batch, &complements, batch.nbin).expect(CPU);
    bench(criterion, "patch: decorrelate 5 fibres", &|| {
        drop(engine.decorrelate(&batch, Decorrelate::Signal, &modes, &x, psf.half_y));
    });
    let model = engine.model(&batch, &traces, &spots, &x).expect(CPU);
    bench(criterion, "patch: model", &|| drop(engine.model(&batch, &traces, &spots, &x)));
    bench(criterion, "patch: goodness", &|| {
        drop(engine.goodness(&batch, &ccd, &traces, &spots, &model, psf.psferr));
    });
}

/// A batch of one: the patch of fibres 10 to 14 with their neighbours.
fn middle_patch(options: &PatchOptions, traces: &spextral::backend::BundleTraces, ccd: &Ccd) -> Batch {
    let positions = traces.positions().expect("the CPU has them");
    let all = patches(options, &positions, &(10..15), NWAVE, (ccd.ny(), ccd.nx()));
    let bandwidth = |nspec| half_bandwidth(&positions, nspec, options.patch_bins());
    batches(all, bandwidth, |_| 1).remove(0)
}

criterion_group!(benches, stages);
criterion_main!(benches);
