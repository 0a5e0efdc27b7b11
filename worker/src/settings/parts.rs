//! The settings section by section: those that can be used, and what is wrong with the others.

use std::path::Path;

use shared::plan::Planner;

use super::{
    Bus, Entries, Graph, Http, LinkUnseen, Pool, Problem, Problems, Retry, Settings, Telemetry, Throttle,
    bus, cloud, identity, mapping, observing,
    reader::{Reader, Rules},
    sections, source,
};
use crate::identity::Identity;

/// Every section that can be used, so that it can be looked at although another is wrong.
pub struct Parts {
    /// The queue.
    pub bus: Option<Bus>,
    /// Graph.
    pub graph: Option<Graph>,
    /// Who the worker is towards Graph.
    pub identity: Option<Identity>,
    /// Link, mapping and filters.
    pub planner: Option<Planner>,
    /// What to do about a link that is never seen.
    pub link_unseen: Option<LinkUnseen>,
    /// Concurrency and bounds.
    pub pool: Option<Pool>,
    /// Patience.
    pub retry: Option<Retry>,
    /// Write budget, breaker and probes.
    pub throttle: Option<Throttle>,
    /// Health and metrics.
    pub http: Option<Http>,
    /// Logs and exported metrics.
    pub telemetry: Option<Telemetry>,
    /// Every key with its value and where it came from.
    pub entries: Entries,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// What the values have to be.
    pub(super) rules: Rules,
}

impl Parts {
    /// Reads all sections before anything is decided, so that all mistakes are told at once.
    #[must_use]
    pub fn of(file: Option<(&Path, &str)>, environment: Vec<(String, String)>) -> Self {
        let mut problems = Vec::new();
        let around = source::Surroundings::of(&environment);
        let entries = source::layers(file, environment, &mut problems);
        let reader = Reader::new(&entries, problems);
        let cloud = cloud::cloud(&reader);
        let bus = bus::bus(&reader, cloud, &around);
        let (graph, identity) =
            (sections::graph(&reader, cloud), identity::identity(&reader, cloud, &around));
        let (planner, pool, retry) =
            (mapping::planner(&reader), sections::pool(&reader), sections::retry(&reader));
        let link_unseen = mapping::link_unseen(&reader);
        let throttle = sections::throttle(&reader);
        let (http, telemetry) = (observing::http(&reader), observing::telemetry(&reader));
        if let (Some(graph), Some(planner)) = (&graph, &planner) {
            mapping::check_attributes(&reader, &graph.reading, planner);
        }
        let (problems, rules) = reader.finish();
        Self {
            bus,
            graph,
            identity,
            planner,
            link_unseen,
            pool,
            retry,
            throttle,
            http,
            telemetry,
            entries,
            problems,
            rules,
        }
    }

    /// The settings, if nothing is wrong with them.
    pub fn finish(self) -> Result<Settings, Problems> {
        let Self {
            bus,
            graph,
            identity,
            planner,
            link_unseen,
            pool,
            retry,
            throttle,
            http,
            telemetry,
            entries,
            problems,
            ..
        } = self;
        let settings = (|| {
            Some(Settings {
                bus: bus?,
                graph: graph?,
                identity: identity?,
                planner: planner?,
                link_unseen: link_unseen?,
                pool: pool?,
                retry: retry?,
                throttle: throttle?,
                http: http?,
                telemetry: telemetry?,
                entries,
            })
        })();
        settings.filter(|_| problems.is_empty()).ok_or(Problems(problems))
    }
}
