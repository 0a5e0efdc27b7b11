//! Faults by script: what goes wrong, for which requests, how often.

use serde::{Deserialize, Serialize};

use super::{call::Call, limits::Limit};

/// A fault and the requests that it strikes. Every condition must hold; those left out always do.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Only this method.
    pub method: Option<String>,
    /// Only paths (with their query, as sent) that contain this.
    pub path: Option<String>,
    /// Strikes the parts of batches in place of requests of their own.
    pub in_batch: bool,
    /// Lets this many matching requests pass first.
    pub skip: u32,
    /// Strikes this often; null means until cleared.
    pub times: Option<u32>,
    /// Holds the answer back for so long.
    pub delay_ms: u64,
    /// Lets the request take effect, whatever the client is told.
    pub apply: bool,
    /// What the client is told in place of the ordinary answer.
    pub answer: Option<Answer>,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            method: None,
            path: None,
            in_batch: false,
            skip: 0,
            times: Some(1),
            delay_ms: 0,
            apply: false,
            answer: None,
        }
    }
}

/// What a client is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 429 of this kind, with `Retry-After` in seconds.
    Throttled {
        /// Which limit.
        limit: Limit,
        /// The header.
        retry_after: u64,
    },
    /// 401 with the challenge, as if the token had lapsed.
    Unauthorized,
    /// 503 with a page of HTML, as a gateway answers.
    Unavailable,
    /// Any other error of Dataverse's.
    Error {
        /// The status.
        status: u16,
        /// The code.
        code: u32,
        /// The sentence.
        message: String,
    },
    /// The ordinary answer, but with the `nextLink` that brought the client here.
    RepeatedNextLink,
    /// The connection is reset.
    Reset,
    /// Nothing; the connection stays open until the client gives up.
    Hang,
}

impl Fault {
    /// A fault that answers like this, once, whatever is asked.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    /// 429 of this kind.
    #[must_use]
    pub fn throttled(limit: Limit, retry_after: u64) -> Self {
        Self::new(Answer::Throttled { limit, retry_after })
    }

    /// Ordinary answers that come late.
    #[must_use]
    pub fn delay(time: std::time::Duration) -> Self {
        Self { delay_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), ..Self::default() }
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only paths that contain this.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Strikes this often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes until it is cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Lets this many pass first.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes the parts of batches in place of requests of their own.
    #[must_use]
    pub fn in_batch(mut self) -> Self {
        self.in_batch = true;
        self
    }

    /// Lets the request take effect all the same.
    #[must_use]
    pub fn after_apply(mut self) -> Self {
        self.apply = true;
        self
    }

    fn matches(&self, call: &Call) -> bool {
        let path = call.uri.path_and_query().map_or("", |path| path.as_str());
        self.in_batch == call.is_item
            && self.method.as_ref().is_none_or(|method| call.method.as_str().eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }
}

/// The faults that are still to come, in the order in which they were scripted.
#[derive(Debug, Default)]
pub(crate) struct Script {
    faults: Vec<(u64, Fault)>,
    last: u64,
}

impl Script {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last += 1;
        self.faults.push((self.last, fault));
        self.last
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The first fault that strikes this call, if any.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<(u64, Fault)> {
        let mut struck = None;
        for (number, fault) in self.faults.iter_mut().filter(|(_, fault)| fault.matches(call)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            struck = Some((*number, fault.clone()));
            break;
        }
        self.faults.retain(|(_, fault)| fault.times != Some(0));
        struck
    }
}
