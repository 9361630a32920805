//! `gleaner export --chaos`: faults on purpose, and who is spared.

use super::args::ExportArgs;
use super::exit::CliError;
use crate::config::settings::{Settings, SinkTarget, Source};

/// Refuses real clusters and storage accounts, unless they are allowed.
///
/// # Errors
/// If the run would touch one.
pub fn spare(args: &ExportArgs, settings: &Settings) -> Result<(), CliError> {
    let cluster = match &settings.source {
        Source::Kusto(kusto) if !is_here(&kusto.cluster) => Some(kusto.cluster.clone()),
        _ => None,
    };
    let account = match &settings.sink.target {
        SinkTarget::AzureBlob(blob) if !is_here(&blob.endpoint) => {
            Some(format!("storage account {}", blob.account))
        }
        _ => None,
    };
    match cluster.or(account) {
        Some(real) if !(args.allow_real_services || args.i_know) => Err(CliError::usage(
            format!("--chaos would make requests to {real} fail on purpose"),
            "try it with an emulator, files or a folder; or add --allow-real-services",
        )),
        _ => Ok(()),
    }
}

#[cfg(any(feature = "azure", feature = "kusto"))]
fn is_here(address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| crate::azure::is_loopback(&url))
}

/// Such a build reaches no service at all.
#[cfg(not(any(feature = "azure", feature = "kusto")))]
fn is_here(_address: &str) -> bool {
    true
}

#[cfg(not(feature = "fault-injection"))]
pub use without::Chaos;

#[cfg(feature = "fault-injection")]
pub use with::Chaos;

#[cfg(not(feature = "fault-injection"))]
mod without {
    use std::future::pending;

    use super::super::args::ExportArgs;
    use super::super::exit::CliError;
    use crate::config::settings::Settings;
    use crate::fault::Faults;

    /// Nothing: this build has no faults.
    pub struct Chaos;

    impl Chaos {
        /// Nothing, if nothing is asked for.
        ///
        /// # Errors
        /// If faults are asked for.
        pub fn new(args: &ExportArgs, _: &Settings) -> Result<Self, CliError> {
            match args.chaos {
                None => Ok(Self),
                Some(_) => Err(CliError::usage(
                    "this gleaner was built without faults",
                    "build it with: cargo build --features fault-injection",
                )),
            }
        }

        /// None.
        pub fn faults(&self) -> Faults {
            Faults::default()
        }

        /// Nothing to remember.
        pub fn started(&self) {}

        /// Never.
        pub fn starts_again(&self, _: &CliError) -> bool {
            false
        }

        /// Never.
        pub async fn crash(&self) {
            pending().await
        }

        /// Nothing.
        pub fn report(&self) {}
    }
}

#[cfg(feature = "fault-injection")]
mod with {
    use std::future::pending;
    use std::path::PathBuf;
    use std::sync::{Arc, Once, OnceLock};

    use super::super::args::ExportArgs;
    use super::super::exit::{CliError, Exit};
    use super::super::words::count;
    use crate::config;
    use crate::config::settings::{Chaos as ChaosSettings, Settings};
    use crate::fault::{self, FaultPlan, Faults, Injected, Injector, Site};
    use crate::pipeline::BuildError;
    use crate::pipeline::host::setup::default_work_dir;
    use crate::pipeline::state::exclude_key::{self, Missing};

    /// In the work directory: how many starts of the run had faults drawn for them.
    const STARTS: &str = "chaos-starts";

    /// In the environment: a plan that strikes with whatever configuration, for tests that kill the
    /// program: `upload.commit.before:3:crash`.
    const FAULTS: &str = "GLEANER_FAULTS";

    /// What goes wrong in one start of a run. Faults that are drawn differ from start to start and
    /// become half as many each time, so that the same command comes through in the end.
    pub struct Chaos {
        asked: Option<Planned>,
        /// Those of [`FAULTS`].
        more: FaultPlan,
        /// Made on the run's runtime.
        injector: OnceLock<Arc<Injector>>,
    }

    struct Planned {
        plan: FaultPlan,
        /// Whether the plan was drawn: a given one strikes in every start.
        drawn: bool,
        /// Starts before this one.
        starts: u32,
        remembered: PathBuf,
    }

    impl Chaos {
        /// The faults that are asked for.
        ///
        /// # Errors
        /// If their plan cannot be read.
        pub fn new(args: &ExportArgs, settings: &Settings) -> Result<Self, CliError> {
            let more = match std::env::var(FAULTS) {
                Ok(plan) => parse(FAULTS, &plan)?,
                Err(_) => FaultPlan::default(),
            };
            let asked = match args.chaos {
                Some(_) => Some(Planned::new(args, settings)?),
                None => None,
            };
            Ok(Self {
                asked,
                more,
                injector: OnceLock::new(),
            })
        }

        /// For the parts of the run. To be called on the run's runtime.
        pub fn faults(&self) -> Faults {
            let plan = match &self.asked {
                Some(planned) => planned.plan.clone().with(self.more.clone()),
                None if self.more.faults().is_empty() => return Faults::default(),
                None => self.more.clone(),
            };
            let injector = self.injector.get_or_init(|| Arc::new(Injector::new(plan)));
            Faults::from(Arc::clone(injector))
        }

        /// Remembers that this start had its faults: the work directory is there now.
        pub fn started(&self) {
            if let Some(planned) = &self.asked {
                // Where it cannot be written the next start has the same faults again.
                let _ = std::fs::write(&planned.remembered, (planned.starts + 1).to_string());
            }
        }

        /// Whether a start that ended like this is followed by another one of the same command.
        pub fn starts_again(&self, error: &CliError) -> bool {
            let drawn = self.asked.as_ref().is_some_and(|planned| planned.drawn);
            drawn && error.exit == Exit::Failure && self.any_struck()
        }

        fn any_struck(&self) -> bool {
            let injector = self.injector.get();
            injector.is_some_and(|injector| !injector.struck().is_empty())
        }

        /// Ends the process as `kill -9` does, if that is planned; else never completes.
        pub async fn crash(&self) {
            match self.injector.get() {
                Some(injector) => {
                    injector.crashed().await;
                    eprintln!(
                        "chaos: killed; run the same command again: it resumes where it stopped"
                    );
                    fault::kill();
                }
                None => pending().await,
            }
        }

        /// Says what has struck.
        pub fn report(&self) {
            if let (Some(_), Some(injector)) = (&self.asked, self.injector.get()) {
                let struck = injector.struck();
                let words: Vec<String> = struck.iter().map(|s| s.fault.to_string()).collect();
                let struck = count(words.len() as u64, "fault");
                eprintln!("chaos: {struck} struck: {}", words.join(" "));
            }
        }
    }

    impl Planned {
        fn new(args: &ExportArgs, settings: &Settings) -> Result<Self, CliError> {
            let work_dir = match &args.work_dir {
                Some(path) => path.clone(),
                None => {
                    let described = exclude_key::described(settings, None, Missing::Make);
                    let described = described.map_err(BuildError::from)?;
                    default_work_dir(&config::fingerprint(&described))
                }
            };
            let remembered = work_dir.join(STARTS);
            let starts = std::fs::read_to_string(&remembered).ok();
            let starts = starts
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0);
            let (plan, drawn) = match settings.chaos.plan.as_str() {
                "" => (draw(&settings.chaos, starts), true),
                plan => (parse("chaos.plan", plan)?, false),
            };
            eprintln!("chaos.plan = \"{plan}\"");
            quiet_injected_panics();
            Ok(Self {
                plan,
                drawn,
                starts,
                remembered,
            })
        }
    }

    /// Reads a plan from where it was given.
    fn parse(given_in: &str, plan: &str) -> Result<FaultPlan, CliError> {
        plan.parse().map_err(|wrong: fault::WrongPlan| {
            CliError::usage(
                format!("{given_in}: {wrong}"),
                "write SITE:N:KIND, such as \"fetch:3:hang upload.commit.before:1:crash\"; docs/faults.md lists sites and kinds",
            )
        })
    }

    /// The faults of a start: other ones than of those before, and half as many each time.
    fn draw(settings: &ChaosSettings, starts: u32) -> FaultPlan {
        let meant =
            |site: &&Site| settings.stages.is_empty() || settings.stages.contains(&site.stage());
        let sites: Vec<Site> = Site::ALL.iter().filter(meant).copied().collect();
        let seed = settings.seed.wrapping_add(u64::from(starts) << 32);
        let faults = settings.faults.checked_shr(starts).unwrap_or(0);
        FaultPlan::draw(seed, faults, settings.max_hits, &sites, &settings.kinds)
    }

    /// Injected panics are reported by who survives them; the others are worth a look.
    fn quiet_injected_panics() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !panic.payload().is::<Injected>() {
                    usual(panic);
                }
            }));
        });
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_wrong_plan_is_refused_by_its_name_with_one_that_is_right() {
            for (given_in, plan, wrong) in [
                (FAULTS, "upload.commit.before", "it must be SITE:N:KIND"),
                (
                    FAULTS,
                    "upload.comit.before:3:crash",
                    "there is no such site",
                ),
                ("chaos.plan", "fetch:0:hang", "N must be a number from 1"),
            ] {
                let error = parse(given_in, plan).expect_err("wrong");
                assert_eq!(
                    error.message,
                    format!("{given_in}: {plan:?} is no fault: {wrong}")
                );
                let (_, example) = error.hint.split_once('"').expect("an example");
                let (example, _) = example.split_once('"').expect("an example");
                let example = parse(given_in, example).expect("right");
                assert_eq!(example.faults().len(), 2);
                assert_eq!(error.exit, Exit::Usage);
            }
        }

        #[test]
        fn a_start_has_other_and_fewer_faults_than_the_one_before() {
            let settings = ChaosSettings {
                seed: 1,
                faults: 20,
                max_hits: 20,
                stages: Vec::new(),
                kinds: Vec::new(),
                plan: String::new(),
            };
            let plans = [0, 1, 2].map(|starts| draw(&settings, starts));
            assert!(plans[0] != plans[1] && plans[1] != plans[2]);
            assert!(plans[1].faults().len() <= 10 && plans[2].faults().len() <= 5);
            assert_eq!(
                draw(&settings, 0),
                plans[0],
                "the same start, the same faults"
            );
            for last in [5, 64, 1000] {
                assert_eq!(draw(&settings, last), FaultPlan::default(), "{last}");
            }
        }
    }
}
