//! From a call to what it does: who asks, what limits say, the operation, the transaction around it.

use hyper::{Method, StatusCode};
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    call::{Call, Segment},
    faults::{Answer, Fault},
    functions::NAMESPACE,
    journal::Entry,
    query::Options,
    refusal::Refusal,
    reply::{Body, Reply},
    schema,
    state::{Asked, State},
};

impl State {
    /// Answers a part of a batch, with the limits and the faults that are its own.
    pub(crate) fn part(&mut self, call: &Call, app: Uuid, request: Uuid, alone: bool) -> Reply {
        let strike = self.script.strike(call);
        let began = Instant::now();
        let reply = match self.usage.begin(app, &self.limits, began) {
            Err((limit, seconds)) => {
                Reply::refused(limit.refusal(&self.limits), false).with("retry-after", &seconds.to_string())
            }
            Ok(()) => {
                let reply = self.answer(call, app, request, strike.as_ref().map(|(_, fault)| fault), alone);
                self.usage.end(app, began, began);
                reply
            }
        };
        self.record(call, Some(app), Some(&reply), strike.map(|(number, _)| number));
        reply
    }

    /// Answers a call of an app, unless a fault says otherwise. `alone` is false inside of a change set, whose
    /// transaction is around all of its requests.
    pub(crate) fn answer(
        &mut self,
        call: &Call,
        app: Uuid,
        request: Uuid,
        fault: Option<&Fault>,
        alone: bool,
    ) -> Reply {
        let told = fault.and_then(|fault| fault.answer.as_ref().map(|answer| (answer, fault.apply)));
        match told {
            Some((answer, false)) if *answer != Answer::RepeatedNextLink => self.tell(call, answer),
            _ => {
                let ordinary = self.carry_out(call, app, request, alone);
                match told {
                    None => ordinary,
                    Some((Answer::RepeatedNextLink, _)) => repeat(call, ordinary),
                    Some((answer, _)) => self.tell(call, answer),
                }
            }
        }
    }

    /// What a fault makes the client read.
    fn tell(&self, call: &Call, answer: &Answer) -> Reply {
        match answer {
            Answer::Throttled { limit, retry_after } => Reply::refused(limit.refusal(&self.limits), false)
                .with("retry-after", &retry_after.to_string()),
            Answer::Unauthorized => self.challenge(call),
            Answer::Unavailable => {
                let page = "<html><body><h1>503 Service Unavailable</h1></body></html>";
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", page)
            }
            Answer::Error { status, code, message } => {
                Reply::refused(Refusal::new(*status, *code, message.clone()), false)
            }
            Answer::RepeatedNextLink | Answer::Reset | Answer::Hang => Reply::empty(StatusCode::OK),
        }
    }

    /// 401, with which an organization tells its tenant.
    pub(crate) fn challenge(&self, call: &Call) -> Reply {
        let (tenant, origin) = (self.facts.tenant, call.origin());
        let challenge = format!(
            "Bearer authorization_uri=https://login.microsoftonline.com/{tenant}/oauth2/authorize, \
             resource_id={origin}/"
        );
        Reply::empty(StatusCode::UNAUTHORIZED).with("www-authenticate", &challenge)
    }

    fn carry_out(&mut self, call: &Call, app: Uuid, request: Uuid, alone: bool) -> Reply {
        let preferences = call.preferences();
        let annotated = preferences.annotations.as_deref() == Some("*");
        let writes = alone && call.method != Method::GET;
        if writes {
            self.begin();
        }
        let done = self.admitted(call, app, request, preferences);
        if writes {
            if done.is_ok() { self.commit() } else { self.roll_back() }
        }
        done.unwrap_or_else(|refusal| Reply::refused(refusal, annotated))
    }

    fn admitted(
        &mut self,
        call: &Call,
        app: Uuid,
        request: Uuid,
        preferences: super::call::Preferences,
    ) -> Result<Reply, Refusal> {
        let segments = call.segments().ok_or_else(|| Refusal::unknown_segment(call.uri.path()))?;
        let access = self.rights.of_app(&self.store, app, Instant::now())?;
        if self.administration && !access.administrator {
            let message =
                "The organization is in administration mode, in which only administrators have access.";
            return Err(Refusal::new(403, 0x8004_a104, message));
        }
        let asked = Asked { call, access, preferences, options: Options::of(call), request };
        self.dispatch(&asked, &segments, app)
    }

    fn dispatch(&mut self, asked: &Asked<'_>, segments: &[Segment], app: Uuid) -> Result<Reply, Refusal> {
        let get = asked.call.method == Method::GET;
        let (first, rest) = match segments {
            [] => return Ok(service_document(asked)),
            [first, rest @ ..] => (first, rest),
        };
        if first.name == "$batch" && asked.call.method == Method::POST {
            // Each part has a transaction of its own, so the one around the envelope ends here.
            self.commit();
            return self.batch(asked, app);
        }
        if first.name == "EntityDefinitions" {
            return if get { self.definitions(asked, segments) } else { Err(not_allowed()) };
        }
        if rest.is_empty()
            && let Some(answer) = self.function(asked, first)
        {
            return answer;
        }
        let table = schema::by_set(&first.name).ok_or_else(|| Refusal::unknown_segment(&first.name))?;
        if first.arguments.is_none() {
            return self.set(asked, table, rest);
        }
        let id = Self::key_of(table, first)?;
        self.entity(asked, table, id, rest)
    }

    fn set(
        &mut self,
        asked: &Asked<'_>,
        table: &'static schema::Table,
        rest: &[Segment],
    ) -> Result<Reply, Refusal> {
        for language in ["sql", "fetchXml", "savedQuery", "userQuery"] {
            if asked.options.get(language).is_some() {
                let message = format!("Queries by '{language}' are not implemented here.");
                return Err(Refusal::new(501, 0x8004_0216, message));
            }
        }
        match (rest, &asked.call.method) {
            ([], &Method::GET) => self.list(asked, table),
            ([], &Method::POST) => self.post(asked, table),
            ([count], &Method::GET) if count.name == "$count" => self.count(asked, table),
            ([action], _) => match action.name.strip_prefix(NAMESPACE) {
                Some(name @ ("CreateMultiple" | "UpdateMultiple" | "UpsertMultiple")) => {
                    self.bulk(asked, table, name)
                }
                _ => Err(Refusal::unknown_segment(&action.name)),
            },
            ([], _) => Err(not_allowed()),
            ([_, other, ..], _) => Err(Refusal::unknown_segment(&other.name)),
        }
    }

    fn entity(
        &mut self,
        asked: &Asked<'_>,
        table: &'static schema::Table,
        id: Uuid,
        rest: &[Segment],
    ) -> Result<Reply, Refusal> {
        match (rest, &asked.call.method) {
            ([], &Method::GET) => self.read(asked, table, id),
            ([], &Method::PATCH) => self.patch(asked, table, id),
            ([], &Method::DELETE) => self.remove(asked, table, id),
            ([], _) => Err(not_allowed()),
            ([navigation, reference], &Method::POST | &Method::PUT | &Method::DELETE)
                if reference.name == "$ref" =>
            {
                self.link(asked, table, id, navigation)
            }
            ([one], method) => {
                if let Some(name) = one.name.strip_prefix(NAMESPACE) {
                    let answer = self.bound(asked, table, id, name);
                    return answer.unwrap_or_else(|| Err(Refusal::unknown_segment(&one.name)));
                }
                match *method {
                    Method::GET => self.read_value(asked, table, id, &one.name),
                    Method::PUT | Method::DELETE => self.put_value(asked, table, id, &one.name),
                    _ => Err(not_allowed()),
                }
            }
            ([_, other, ..], _) => Err(Refusal::unknown_segment(&other.name)),
        }
    }

    /// Writes a request down.
    pub(crate) fn record(
        &mut self,
        call: &Call,
        app: Option<Uuid>,
        reply: Option<&Reply>,
        fault: Option<u64>,
    ) {
        let path = call.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let properties = match serde_json::from_slice::<Json>(&call.body) {
            Ok(Json::Object(body)) => body.into_iter().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        };
        let secrets = secrets(&path, reply);
        self.journal.push(Entry {
            number: 0,
            method: call.method.to_string(),
            path,
            in_batch: call.is_item,
            prefer: call.header("prefer").unwrap_or_default().to_owned(),
            if_match: call.header("if-match").map(str::to_owned),
            properties,
            status: reply.map(|reply| reply.status.as_u16()),
            code: reply.and_then(|reply| reply.code.clone()),
            rows: reply.map_or(0, |reply| reply.rows),
            secrets,
            app,
            fault,
        });
    }
}

/// The secret columns that a request named or an answer held.
fn secrets(path: &str, reply: Option<&Reply>) -> Vec<String> {
    let body = reply.and_then(|reply| match &reply.body {
        Body::Json(body) => Some(body),
        _ => None,
    });
    let held = |name: &str| {
        body.is_some_and(|body| {
            body.get(name).is_some() || body["value"].get(0).is_some_and(|row| row.get(name).is_some())
        })
    };
    let columns = schema::tables().iter().flat_map(|table| table.columns).filter(|column| column.secret);
    let named = columns.filter(|column| path.contains(column.name) || held(column.name));
    named.map(|column| column.name.to_owned()).collect()
}

/// The same answer, but it leads to where the client is already.
fn repeat(call: &Call, mut reply: Reply) -> Reply {
    if let Body::Json(body) = &mut reply.body {
        let path = call.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        body["@odata.nextLink"] = json!(format!("{}{path}", call.origin()));
        if let Some(body) = body.as_object_mut() {
            body.remove("@odata.deltaLink");
        }
    }
    reply
}

fn service_document(asked: &Asked<'_>) -> Reply {
    let sets: Vec<Json> = schema::tables()
        .iter()
        .map(|table| json!({ "name": table.set, "kind": "EntitySet", "url": table.set }))
        .collect();
    let context = format!("{}/$metadata", asked.call.root());
    Reply::json(StatusCode::OK, json!({ "@odata.context": context, "value": sets }))
}

fn not_allowed() -> Refusal {
    Refusal::new(405, 0x8006_0888, "The requested resource does not support this method.")
}
