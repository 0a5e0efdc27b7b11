//! System jobs: one for each firing of an asynchronous step. One that posted its message deletes itself, so what is there
//! has failed, waits, or has not begun.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::json;
use uuid::Uuid;

use super::{client::DataverseClient, code::Code, error::Error};

const SET: &str = "asyncoperations";
/// Columns of [`Job`].
const COLUMNS: &str = "statecode,statuscode,errorcode,friendlymessage,message,_regardingobjectid_value,primaryentitytype,\
                       createdon";
/// Steps of one endpoint that are looked at.
const MOST_STEPS: usize = 200;

/// A step of an endpoint: which message of Dataverse is posted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct EndpointStep {
    /// Its id.
    #[serde(rename = "sdkmessageprocessingstepid")]
    pub(crate) id: Uuid,
    /// Its name.
    #[serde(default)]
    pub(crate) name: Option<Box<str>>,
    /// 0 while it is enabled.
    #[serde(default)]
    pub(crate) statecode: Option<i64>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Job {
    /// Its id.
    #[serde(rename = "asyncoperationid")]
    pub(crate) id: Uuid,
    /// Where it stands.
    #[serde(rename = "statuscode")]
    status: i64,
    /// Why it failed, or failed last; nothing while it has not.
    #[serde(default)]
    errorcode: Option<i64>,
    /// What the platform says about that.
    #[serde(default)]
    friendlymessage: Option<String>,
    #[serde(default)]
    message: Option<String>,
    /// The contact.
    #[serde(default, rename = "_regardingobjectid_value")]
    pub(crate) regarding: Option<Uuid>,
    /// The table of what it is about.
    #[serde(default, rename = "primaryentitytype")]
    pub(crate) table: Option<Box<str>>,
    /// When the change was made.
    #[serde(rename = "createdon", deserialize_with = "moment")]
    pub(crate) created: Timestamp,
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("a moment is not written as RFC 3339 has it"))
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobState {
    /// It is over, and nothing was posted.
    Failed,
    /// It waits for its next try.
    Waiting,
    /// It has not begun.
    Ready,
    /// It is under way.
    Running,
    /// Somebody has cancelled it.
    Cancelled,
    /// It is done, or in a state that is not known.
    Other,
}

impl JobState {
    /// Stable word for people and machines.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

impl Job {
    /// Where it stands. Source: the status reasons of the table `asyncoperation`.
    #[must_use]
    pub(crate) fn state(&self) -> JobState {
        match self.status {
            31 => JobState::Failed,
            10 => JobState::Waiting,
            0 => JobState::Ready,
            20..=22 => JobState::Running,
            32 => JobState::Cancelled,
            _ => JobState::Other,
        }
    }

    /// Why it failed, or failed last.
    #[must_use]
    pub(crate) fn code(&self) -> Option<Code> {
        let code = i32::try_from(self.errorcode?).ok()?;
        (code != 0).then(|| Code::from(code))
    }

    /// What the platform says about that, whole.
    #[must_use]
    pub(crate) fn words(&self) -> Option<&str> {
        let filled = |text: &&str| !text.trim().is_empty();
        [&self.message, &self.friendlymessage].into_iter().filter_map(|text| text.as_deref()).find(filled)
    }
}

/// Which jobs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that failed.
    Failed,
    /// Those that are not over.
    Unfinished,
}

/// What became of a job that was to be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// It runs at once.
    Yes,
    /// Somebody or something was quicker: it waits no more.
    NotWaiting,
}

/// Codes by which Dataverse says that a job does not wait: its state does not allow it, or another process changed it.
const NOT_WAITING: [Code; 3] = [Code(0x8004_4166), Code(0x8004_4162), Code(0x8004_4163)];

impl DataverseClient {
    /// The steps of an endpoint.
    pub(crate) async fn steps(&self, endpoint: Uuid) -> Result<Vec<EndpointStep>, Error> {
        let query = format!(
            "sdkmessageprocessingsteps?$select=name,statecode&$filter=_eventhandler_value eq {endpoint}"
        );
        self.rows(&query, MOST_STEPS).await
    }

    /// The newest jobs of a step since then, at most so many, and whether there are more. The table can have millions of
    /// rows, so it is never asked for without step and date.
    pub(crate) async fn jobs(
        &self,
        step: Uuid,
        wanted: Wanted,
        since: Timestamp,
        most: usize,
    ) -> Result<(Vec<Job>, bool), Error> {
        let state = match wanted {
            Wanted::Failed => "statuscode eq 31",
            Wanted::Unfinished => "statecode ne 3",
        };
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
        let query = format!(
            "{SET}?$select={COLUMNS}&$filter=_owningextensionid_value eq {step} and {state} and createdon ge {since}\
             &$orderby=createdon desc,asyncoperationid desc"
        );
        self.first_rows(&query, most).await
    }

    /// One job; `None` if there is none of this id. One that has posted its message is gone.
    pub(crate) async fn job(&self, id: Uuid) -> Result<Option<Job>, Error> {
        match self.row(&format!("{SET}({id})?$select={COLUMNS}")).await {
            Ok(job) => Ok(Some(job)),
            Err(error) if error.kind() == Some(super::Kind::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a waiting job run at once.
    pub(crate) async fn resume(&self, job: Uuid) -> Result<Resumed, Error> {
        match self.update(SET, job, &json!({"statecode": 0, "statuscode": 0})).await {
            Ok(()) => Ok(Resumed::Yes),
            Err(error) => {
                let code = error.refusal().and_then(|refusal| refusal.code);
                let gone = error.kind() == Some(super::Kind::Gone);
                let quicker = gone || code.is_some_and(|code| NOT_WAITING.contains(&code));
                if quicker { Ok(Resumed::NotWaiting) } else { Err(error) }
            }
        }
    }
}
