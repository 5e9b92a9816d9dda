//! `spextral exposure`: many frames, from a manifest or from the folders of a DESI reduction.

use super::device_arguments::DeviceArguments;
use super::json::{Json, object, print_object};
use super::logging::Progress;
use super::output::{Outcome, print};
use super::request_options::{RequestOptions, names};
use super::signals::cancel_on_signals;
use clap::Args;
use spextral::PendingFile;
use spextral::base::cancel::CancelToken;
use spextral::base::option_name::OptionName;
use spextral::base::output_path::{Format, check_name, check_outputs};
use spextral::exposure::{self, Manifest, Row, RunLog, Settings, Tree};
use spextral::extract::{ModelFlux, Request};
#[cfg(feature = "plot")]
use spextral::plot;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
spextral exposure --manifest FILE [OPTIONS]
       spextral exposure --night N [--expid E] [--reduxdir DIR] [OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  spextral exposure --manifest frames.csv --report report.json
  spextral exposure --night 20200314 --expid 51060-51070 --cameras r0,r1 --resume --pages pages
  mpirun -n 8 spextral exposure --manifest frames.csv --ranks-per-frame 2      # built with mpi

A manifest is CSV with a header row: input, psf, output, and where wanted fibermap, model, and any option below by its name
(wavelength, specmin, nspec, ...); empty cells and missing columns take the command line's.

    input,psf,output,wavelength
    preproc-r0-00051060.fits.gz,psf-r0-00051060.fits,frame-r0-00051060.fits,\"5760,7620,0.8\"

Exit codes: 0 all frames are done, 1 a frame failed (the table and the report tell why), 2 wrong command line,
128 + N ended by signal N. Outputs are whole or absent in any case, and --resume does the rest.";

/// Extensions of the forms of a timeline.
const TIMELINE: &[&str] = if cfg!(feature = "plot") { &["csv", "trace.json", "svg"] } else { &["csv", "trace.json"] };

/// Arguments of `spextral exposure`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct Arguments {
    /// Replace outputs that exist
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Do only frames that are missing, damaged, older than their inputs or made with other options; remove leftovers of dead runs
    #[arg(long)]
    resume: bool,
    /// Write the outcome of each frame and the figures of the run as JSON: the object that --json prints
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write when each group read, computed and wrote: FILE.csv, FILE.svg and, for ui.perfetto.dev, FILE.trace.json
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Write a page about each frame into DIR; index.html has the ten worst things of all frames on top. Pages are made when the frames are done
    #[cfg(feature = "plot")]
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Under mpirun or srun, ranks that share a frame; a remainder makes a smaller last group
    #[arg(long, value_name = "K", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    ranks_per_frame: u32,
    /// Read, compute and write one after the other, to measure the gain of overlapping them
    #[arg(long)]
    no_overlap: bool,
    /// Print the frames as a manifest, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RequestOptions,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    pub json: Json,
}

/// The frames.
#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
struct Which {
    /// A CSV table with a header row, one frame per row
    #[arg(long, value_name = "FILE", required_unless_present = "night")]
    manifest: Option<PathBuf>,
    /// The root of a DESI reduction, with preproc/, exposures/ and calibnight/; by default $DESI_SPECTRO_REDUX/$SPECPROD
    #[arg(long, value_name = "DIR", conflicts_with = "manifest", requires = "night")]
    reduxdir: Option<PathBuf>,
    /// Nights of a DESI reduction, YYYYMMDD; frames have the names, wavelengths and PSF errors of desi_proc. Those with a final
    /// frame are left out
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "manifest")]
    night: Vec<u32>,
    /// The exposures, as 51060,51062-51070; by default all of the night
    #[arg(long, value_name = "E", value_delimiter = ',', value_parser = numbers, requires = "night")]
    expid: Vec<[u32; 2]>,
    /// The cameras, as b0,r0,z0; by default all that have a frame
    #[arg(long, value_name = "CAMERAS", value_delimiter = ',', requires = "night")]
    cameras: Vec<String>,
    /// The folder for the frames; by default exposures/NIGHT/EXPID of the reduction
    #[arg(long, value_name = "DIR", requires = "night")]
    outdir: Option<PathBuf>,
    /// Keep the observatory's wavelengths for exposures of the sky, too (OBSTYPE SCIENCE and SKY)
    #[arg(long, requires = "night", conflicts_with = "barycentric-correction")]
    no_barycentric_correction: bool,
}

/// Parses a number, or a range of them: `51062-51070`.
fn numbers(word: &str) -> Result<[u32; 2], String> {
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("{text:?} is no number"));
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let range = [number(first)?, number(last)?];
    if range[0] <= range[1] { Ok(range) } else { Err(format!("{word} is no range: give the smaller number first")) }
}

impl Which {
    /// Returns the root of the reduction: the one given, else that of the environment.
    fn redux(&self) -> Result<PathBuf, String> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let of_environment = || Some(PathBuf::from(set("DESI_SPECTRO_REDUX")?).join(set("SPECPROD")?));
        self.reduxdir.clone().or_else(of_environment).ok_or_else(|| {
            "there is no reduction: give --reduxdir, or set DESI_SPECTRO_REDUX and SPECPROD in the environment".into()
        })
    }

    /// Returns the exposures of the reduction that are meant.
    fn exposures(&self, redux: &Path) -> Result<Vec<Tree>, Box<dyn Error>> {
        let mut trees = Vec::new();
        for &night in &self.night {
            let tree = |expid| Tree { redux: redux.to_path_buf(), night, expid };
            match &self.expid[..] {
                // Without the others a missing exposure is an error.
                [[first, last]] if first == last => trees.push(tree(*first)),
                wanted => {
                    let meant = |expid: &u32| wanted.is_empty() || wanted.iter().any(|[a, b]| (a..=b).contains(&expid));
                    trees.extend(Tree::exposures(redux, night)?.into_iter().filter(meant).map(tree));
                }
            }
        }
        if trees.is_empty() {
            return Err(format!("{} has no such exposure; check --night and --expid", redux.display()).into());
        }
        Ok(trees)
    }

    /// Returns the requests of the reduction, as desi_proc would have them.
    fn of_tree(&self) -> Result<Vec<Request>, Box<dyn Error>> {
        let mut requests = Vec::new();
        for tree in self.exposures(&self.redux()?)? {
            for frame in tree.frames(&self.cameras, self.outdir.as_deref())? {
                match frame.last.exists() {
                    true => tracing::info!("{} exists already", frame.last.display()),
                    false => requests.push(frame.request(!self.no_barycentric_correction)),
                }
            }
        }
        Ok(requests)
    }
}

/// Extracts all frames. A frame that fails is in the table; it is no error.
///
/// # Errors
/// A manifest or a tree that cannot be used, or no such device.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.dry_run {
        print(exposure::manifest_of(&arguments.named()?)?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    #[cfg(feature = "mpi")]
    if let Some(job) = exposure::mpi::MpiJob::join()? {
        return arguments.run_in(&job);
    }
    exposure::check_alone("extract the same frames")?;
    exposure::name_frames_in_panics();
    let requests = arguments.requests()?;
    let settings = arguments.settings()?;
    let progress = Progress::new("frames");
    let report = |done, total| progress.report(done, total);
    let open = || arguments.device.open(arguments.options.given.needs_f64());
    let account = exposure::run(&requests, &settings, open, &report)?;
    drop(progress);
    arguments.conclude(&account, &settings.cancel)
}

impl Arguments {
    /// Does this rank's part of a job.
    #[cfg(feature = "mpi")]
    fn run_in(&self, job: &exposure::mpi::MpiJob) -> Outcome {
        let ready = || -> Result<_, Box<dyn Error>> {
            let requests = if job.rank() == 0 { self.requests()? } else { Vec::new() };
            let engine = self.device.open_for(job.local_rank(), self.options.given.needs_f64())?;
            Ok((requests, self.settings()?, engine))
        };
        // Rank 0 reports the error and has the exit code of the job.
        let Some((requests, settings, engine)) = job.agree(ready())? else { return Ok(ExitCode::SUCCESS) };
        let progress = Progress::new("frames");
        let report = |done, total| progress.report(done, total);
        let account = job.run(&requests, self.ranks_per_frame as usize, &settings, engine, &report);
        drop(progress);
        match account {
            Some(account) => self.conclude(&account, &settings.cancel),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn settings(&self) -> Result<Settings, std::io::Error> {
        Ok(Settings { resume: self.resume, overlap: !self.no_overlap, cancel: cancel_on_signals()? })
    }

    /// Returns the frames, checked against each other, and removes leftovers of dead runs beside them.
    fn requests(&self) -> Result<Vec<Request>, Box<dyn Error>> {
        let requests = self.named()?;
        let accounts = self.accounts();
        exposure::check(&requests, &accounts, self.which.manifest.as_deref())?;
        // Whether a frame can be written concerns that frame alone.
        self.timeline.iter().try_for_each(|path| check_name(path, Format::Timeline))?;
        let (report, timeline) = accounts.split_at(self.report.iter().len());
        let report = report.iter().map(|path| (path.as_path(), Format::Json));
        let timeline = timeline.iter().map(|path| (path.as_path(), Format::Timeline));
        check_outputs(&[], &report.chain(timeline).collect::<Vec<_>>(), self.replaces())?;
        if self.resume {
            for path in exposure::sweep(&requests) {
                tracing::info!("removed {}, left over by a dead run", path.display());
            }
        }
        Ok(requests)
    }

    /// Whether existing files are replaced.
    fn replaces(&self) -> bool {
        self.overwrite || self.resume
    }

    /// Lists the files that record the run: the report, and the timeline in its three forms.
    fn accounts(&self) -> Vec<PathBuf> {
        let timeline = self.timeline.iter().flat_map(|path| TIMELINE.iter().map(|kind| path.with_extension(kind)));
        self.report.iter().cloned().chain(timeline).collect()
    }

    /// Returns the frames that the command line names.
    fn named(&self) -> Result<Vec<Request>, Box<dyn Error>> {
        let requests = match &self.which.manifest {
            Some(path) => {
                let manifest = Manifest::read(path)?;
                manifest.rows.iter().map(|row| of_row(&self.options, &manifest, row)).collect::<Result<_, _>>()?
            }
            None => {
                let mut requests = self.which.of_tree()?;
                requests.iter_mut().try_for_each(|request| self.options.apply(request))?;
                requests
            }
        };
        let (overwrite, on_cpu) = (self.replaces(), &self.device.stage_on_cpu);
        Ok(requests.into_iter().map(|request| Request { overwrite, on_cpu: on_cpu.clone(), ..request }).collect())
    }

    /// Prints the table, writes report and timeline, returns the exit code.
    fn conclude(&self, account: &RunLog, stop: &CancelToken) -> Outcome {
        // The table is printed even if the files cannot be written. JSON has one object, which may be the error.
        if !self.json.is_wanted() {
            print(&account.table())?;
        }
        let fill =
            |path: &Path, text: &str| PendingFile::write(path, self.replaces(), |out| out.write_all(text.as_bytes()));
        let mut files = Vec::new();
        if let Some(path) = &self.report {
            files.push(fill(path, &serde_json::to_string_pretty(&account.json())?)?);
        }
        if let Some(path) = &self.timeline {
            let trace = serde_json::to_string(&account.trace().to_json())?;
            let forms = [
                account.csv(),
                trace,
                #[cfg(feature = "plot")]
                plot::timeline_svg(account)?,
            ];
            for (kind, text) in TIMELINE.iter().zip(forms) {
                files.push(fill(&path.with_extension(kind), &text)?);
            }
        }
        PendingFile::persist_all(files)?;
        if self.json.is_wanted() {
            print_object("exposure", object(account.json()))?;
        }
        #[cfg(feature = "plot")]
        if let Some(folder) = self.pages.as_deref().filter(|_| stop.signal().is_none()) {
            super::exposure_pages::write(account, folder, self.replaces(), !self.json.is_wanted())?;
        }
        let figures = account.figures();
        Ok(match stop.signal() {
            Some(signal) if figures.dropped > 0 => {
                tracing::warn!("ended by signal {signal} with {} frames left; --resume does them", figures.dropped);
                ExitCode::from(128u8.saturating_add(signal as u8))
            }
            _ if figures.failed > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }
}

/// Returns the request of a row, whose cells go before the command line.
fn of_row(options: &RequestOptions, manifest: &Manifest, row: &Row) -> Result<Request, exposure::ManifestError> {
    const FILES: [&str; 6] = ["input", "psf", "output", "model", "fibermap", "wavelength-table"];
    let wrong = |what: String| manifest.invalid(row.line, what);
    let file = |column: &str| row.get(column).map(PathBuf::from);
    let needed = |column: &str| file(column).ok_or_else(|| wrong(format!("{column} is empty")));
    let mut request = Request::new(needed("input")?, needed("psf")?, needed("output")?);
    request.model = file("model").map(|path| (path, ModelFlux::default()));
    options.apply(&mut request).map_err(|error| wrong(error.to_string()))?;
    request.fibermap = file("fibermap").or(request.fibermap);
    request.wavelength_table = file("wavelength-table").or(request.wavelength_table);
    for (column, cell) in row.cells.iter().filter(|(column, _)| !FILES.contains(&column.as_str())) {
        let Some(name) = names().find(|name| name.word() == column) else {
            let known: Vec<&str> = FILES.into_iter().chain(names().map(OptionName::word)).collect();
            return Err(wrong(format!("there is no column {column}: the columns are {}", known.join(", "))));
        };
        request.set_option(name, cell).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn requests(table: &str, words: &[&str]) -> Result<Vec<Request>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), table).unwrap();
        let path = file.path().to_string_lossy().into_owned();
        let all = ["exposure", "--manifest", &path].into_iter().chain(words.iter().copied());
        Line::try_parse_from(all).unwrap().arguments.named().map_err(|e| e.to_string())
    }

    #[test]
    fn cells_go_before_the_command_line_which_goes_before_the_defaults() {
        let table = "input,psf,output,wavelength,nspec,psf-tails,model,mask_bits,max-device-memory\n\
                     a,p,x,\"5000,6000,1\",,true,m,none,500M\n\
                     b,p,y,,7,false,,,\n";
        let found = requests(table, &["--nspec", "5", "--psf-tails", "--specmin", "2", "--no-scores"]).unwrap();
        assert_eq!(found[0].wavelength, Some((5000.0, 6000.0, 1.0).into()));
        assert_eq!((found[0].options.nspec, found[1].options.nspec), (Some(5), Some(7)));
        assert_eq!((found[0].options.psf_tails, found[1].options.psf_tails), (true, false));
        assert_eq!((found[0].mask_bits, found[1].mask_bits), (0, 0x2ff));
        let memory = [0, 1].map(|i| found[i].options.max_device_memory);
        assert_eq!(memory, [Some(500 << 20), None]);
        assert!(found.iter().all(|r| r.options.specmin == 2 && !r.scores && !r.overwrite));
        assert_eq!(found[0].model.as_ref().map(|(path, _)| path.as_path()), Some(Path::new("m")));
        let plain = requests("input,psf,output\na,p,x\n", &[]).unwrap().remove(0);
        assert_eq!(plain, Request::new("a", "p", "x"));
    }

    #[test]
    fn a_manifest_that_is_printed_reads_as_the_same_frames() {
        let table = "input,psf,output,wavelength,nspec,barycentric-correction\n\
                     a,p,\"x,1\",\"5000,6000,1\",,true\nb,p,y,,7,false\n";
        let first = requests(table, &["--psferr", "0.04"]).unwrap();
        let again = requests(&exposure::manifest_of(&first).unwrap(), &[]).unwrap();
        assert_eq!(first, again);
        assert!(exposure::manifest_of(&first).unwrap().starts_with("input,psf,output,wavelength,"));
    }

    /// Writes a file whose first HDU has a kind of exposure.
    fn of_kind(path: &Path, kind: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let cards = [
            "SIMPLE  =                    T",
            "NAXIS   =                    2",
            &format!("OBSTYPE = '{kind:<8}'"),
            "END",
        ];
        std::fs::write(path, format!("{:<2880}", cards.map(|card| format!("{card:<80}")).concat())).unwrap();
    }

    #[test]
    fn a_night_is_extracted_as_by_the_commands_of_the_survey() {
        #[derive(Parser)]
        struct Survey {
            #[command(flatten)]
            arguments: super::super::extract::Arguments,
        }
        // Flags of desi_extract_spectra as desi_proc gives them, by camera and by kind of exposure.
        let by_camera = [
            ("b4", "3600.0,5800.0,0.8", "0.04"),
            ("r4", "5760.0,7620.0,0.8", "0.01"),
            ("z4", "7520.0,9824.0,0.8", "0.01"),
        ];
        let by_kind: [(&str, &[&str]); 4] = [
            ("SCIENCE", &["--barycentric-correction"]),
            ("SKY", &["--barycentric-correction"]),
            ("ARC", &[]),
            ("FLAT", &[]),
        ];
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_string_lossy().into_owned();
        for (k, (kind, of_kind_flags)) in by_kind.into_iter().enumerate() {
            for (camera, wavelength, psferr) in by_camera {
                let number = format!("{:08}", 70 + k);
                let at =
                    |folder: &str, name: &str| format!("{root}/{folder}/20210501/{number}/{name}-{camera}-{number}");
                let [input, psf] = [at("preproc", "preproc") + ".fits", at("exposures", "psf") + ".fits"];
                [&input, &psf].iter().for_each(|path| of_kind(Path::new(path), kind));
                let output = at("exposures", "frame") + "-no-badcolumn-mask.fits";
                let words = ["-w", wavelength, "-i", &input, "-p", &psf, "-o", &output, "--psferr", psferr, "--no-gpu"];
                let survey = ["desi_extract_spectra"].iter().chain(&words).chain(of_kind_flags);
                let survey = Survey::try_parse_from(survey).unwrap().arguments.request(None).unwrap();
                let words = ["--reduxdir", &root, "--night", "20210501", "--expid", &number, "--cameras", camera];
                let own = |more: &[&str]| {
                    let line = ["exposure"].iter().chain(&words).chain(more);
                    Line::try_parse_from(line).unwrap().arguments.named().unwrap().remove(0)
                };
                assert_eq!(own(&[]), survey, "{kind} {camera}");
                assert_eq!(own(&["--no-barycentric-correction"]), Request { barycentric: false, ..survey });
            }
        }
    }

    #[test]
    fn exposures_are_numbers_and_ranges() {
        assert_eq!((numbers("51060"), numbers("51062-51070")), (Ok([51060; 2]), Ok([51062, 51070])));
        assert!(numbers("7-3").is_err() && numbers("x").is_err());
    }

    #[test]
    fn invalid_cells_are_refused_with_their_line() {
        for (table, parts) in [
            ("input,psf,output,nspec\na,p,x,many\n", ["line 2", "nspec"]),
            ("input,psf,output,colour\na,p,x,red\n", ["line 2", "no column colour"]),
            ("input,psf,output\na,,x\n", ["line 2", "psf is empty"]),
        ] {
            let message = requests(table, &[]).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
