//! `gleaner export --chaos`: faults on purpose, and who is spared.

use reqwest::Url;

use super::args::ExportArgs;
use super::exit::CliError;
use crate::azure::is_loopback;
use crate::config::settings::{Settings, SinkTarget, Source};

/// Real clusters and storage accounts are spared, unless somebody knows.
///
/// # Errors
/// If the run would touch one.
pub fn spare(args: &ExportArgs, settings: &Settings) -> Result<(), CliError> {
    let is_here = |address: &str| Url::parse(address).is_ok_and(|url| is_loopback(&url));
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

#[cfg(not(feature = "fault-injection"))]
pub use without::Chaos;

#[cfg(feature = "fault-injection")]
pub use with::Chaos;

#[cfg(not(feature = "fault-injection"))]
mod without {
    use std::future::pending;

    use super::super::exit::CliError;
    use crate::config::settings::Chaos as Settings;
    use crate::fault::Faults;

    /// Nothing: this build has no faults.
    pub struct Chaos;

    impl Chaos {
        /// Nothing, if nothing is asked for.
        ///
        /// # Errors
        /// If faults are asked for.
        pub fn new(settings: Option<&Settings>) -> Result<Self, CliError> {
            match settings {
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
    use std::sync::Arc;

    use super::super::exit::CliError;
    use crate::config::settings::Chaos as Settings;
    use crate::fault::{self, FaultPlan, Faults, Injected, Injector, Site};

    /// What goes wrong in this run.
    pub struct Chaos(Option<Arc<Injector>>);

    impl Chaos {
        /// The faults that are asked for. To be made on the run's runtime.
        ///
        /// # Errors
        /// If their plan cannot be read.
        pub fn new(settings: Option<&Settings>) -> Result<Self, CliError> {
            let Some(settings) = settings else {
                return Ok(Self(None));
            };
            let plan = match settings.plan.as_str() {
                "" => draw(settings),
                plan => plan.parse().map_err(|wrong: fault::WrongPlan| {
                    CliError::usage(
                        wrong.to_string(),
                        "correct chaos.plan; docs/faults.md has the sites and what can happen there",
                    )
                })?,
            };
            eprintln!("chaos.plan = \"{plan}\"");
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // The others are worth a look.
                if !panic.payload().is::<Injected>() {
                    usual(panic);
                }
            }));
            Ok(Self(Some(Arc::new(Injector::new(plan)))))
        }

        /// For the parts of the run.
        pub fn faults(&self) -> Faults {
            self.0.clone().map_or_else(Faults::default, Faults::from)
        }

        /// Ends the process as `kill -9` does, if that is planned; else never completes.
        pub async fn crash(&self) {
            match &self.0 {
                Some(injector) => {
                    injector.crashed().await;
                    eprintln!(
                        "chaos: killed; run the same command again with another chaos.seed, or without --chaos"
                    );
                    fault::kill();
                }
                None => pending().await,
            }
        }

        /// Says what has struck.
        pub fn report(&self) {
            if let Some(injector) = &self.0 {
                let struck = injector.struck();
                let words: Vec<String> = struck.iter().map(|s| s.fault.to_string()).collect();
                eprintln!("chaos: {} faults struck: {}", words.len(), words.join(" "));
            }
        }
    }

    fn draw(settings: &Settings) -> FaultPlan {
        let meant =
            |site: &&Site| settings.stages.is_empty() || settings.stages.contains(&site.stage());
        let sites: Vec<Site> = Site::ALL.iter().filter(meant).copied().collect();
        let Settings {
            seed,
            faults,
            max_hits,
            kinds,
            ..
        } = settings;
        FaultPlan::draw(*seed, *faults, *max_hits, &sites, kinds)
    }
}
