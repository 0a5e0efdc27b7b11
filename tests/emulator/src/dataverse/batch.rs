//! `$batch`: its parts in order, change sets all or nothing.

use bytes::Bytes;
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use uuid::Uuid;

use super::{
    call::Call,
    multipart::{self, Item, Part},
    refusal::Refusal,
    reply::Reply,
    state::{Asked, State},
};

/// More requests are refused.
const MOST_REQUESTS: usize = 1000;

/// An answer inside a batch.
struct Answered {
    id: Option<String>,
    reply: Reply,
}

/// What stands between two delimiters of the answer.
enum Piece {
    One(Answered),
    ChangeSet(Vec<Answered>),
}

impl State {
    pub(crate) fn batch(&mut self, asked: &Asked<'_>, app: Uuid) -> Result<Reply, Refusal> {
        if asked.call.is_item {
            return Err(Refusal::query("A batch must not contain another one."));
        }
        let malformed = |why: String| Refusal::query(format!("The batch cannot be read: {why}"));
        let mime = asked.call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let boundary = multipart::boundary(mime)
            .ok_or_else(|| malformed(format!("'{mime}' is no multipart/mixed with a boundary.")))?;
        let text = std::str::from_utf8(&asked.call.body).map_err(|error| malformed(error.to_string()))?;
        let parts = multipart::parse(text, &boundary).map_err(malformed)?;
        let count = |part: &Part| match part {
            Part::One(_) => 1,
            Part::ChangeSet(items) => items.len(),
        };
        if parts.iter().map(count).sum::<usize>() > MOST_REQUESTS {
            let message = "The maximum number of requests in a batch is 1000.";
            return Err(Refusal::bad_request(0x8006_0888, message));
        }
        let (mut pieces, mut failed) = (Vec::new(), false);
        for part in parts {
            let piece = match part {
                Part::One(item) => Piece::One(self.item(asked, &item, app, true)),
                Part::ChangeSet(items) => self.change_set(asked, &items, app),
            };
            let bad = matches!(&piece, Piece::One(answered) if answered.reply.status.as_u16() >= 400);
            pieces.push(piece);
            failed |= bad;
            if bad && !asked.preferences.continue_on_error {
                break;
            }
        }
        let boundary = format!("batchresponse_{}", Uuid::new_v4());
        let body = write(&pieces, &boundary);
        let whole = if failed && !asked.preferences.continue_on_error {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        Ok(Reply::text(whole, format!("multipart/mixed; boundary={boundary}"), body))
    }

    fn item(&mut self, asked: &Asked<'_>, item: &Item, app: Uuid, alone: bool) -> Answered {
        let id = item.id.clone();
        let call = match self.inner_call(asked, item) {
            Ok(call) => call,
            Err(why) => return Answered { id, reply: Reply::refused(Refusal::query(why), false) },
        };
        let request = Uuid::new_v4();
        let mut reply = self.part(&call, app, request, alone);
        // The envelope carries the rest of the headers.
        reply.set("odata-version", "4.0");
        if reply.status.as_u16() >= 400 {
            reply.set("req_id", &request.to_string());
        }
        Answered { id, reply }
    }

    fn inner_call(&self, asked: &Asked<'_>, item: &Item) -> Result<Call, String> {
        let reference = item.target.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        let stands = self.references.get(reference).map(|url| item.target.replacen(reference, url, 1));
        let root = asked.call.root();
        let root_path = root.strip_prefix(&asked.call.origin()).unwrap_or_default();
        let uri = item.uri(root_path, stands.as_deref())?;
        let mut headers = item.headers.clone();
        for name in [HOST.as_str(), "authorization", "user-agent"] {
            if let Some(value) = asked.call.headers.get(name)
                && !headers.contains_key(name)
            {
                headers.insert(
                    hyper::header::HeaderName::from_bytes(name.as_bytes())
                        .map_err(|error| error.to_string())?,
                    value.clone(),
                );
            }
        }
        Ok(Call {
            method: item.method.clone(),
            uri,
            headers,
            body: Bytes::from(item.body.clone()),
            secure: asked.call.secure,
            is_item: true,
        })
    }

    /// Carries out a change set; if one request fails, nothing has happened and its error stands for the set.
    fn change_set(&mut self, asked: &Asked<'_>, items: &[Item], app: Uuid) -> Piece {
        self.begin();
        let mut done = Vec::new();
        for item in items {
            let answered = if item.method == Method::GET {
                let message = "A change set must not contain a GET.";
                Answered { id: item.id.clone(), reply: Reply::refused(Refusal::query(message), false) }
            } else {
                self.item(asked, item, app, false)
            };
            if answered.reply.status.as_u16() >= 400 {
                self.roll_back();
                self.references.clear();
                return Piece::One(answered);
            }
            let url = answered.reply.headers.get("odata-entityid").and_then(|url| url.to_str().ok());
            if let (Some(id), Some(url)) = (&item.id, url) {
                self.references.insert(format!("${id}"), url.to_owned());
            }
            done.push(answered);
        }
        self.references.clear();
        self.commit();
        Piece::ChangeSet(done)
    }
}

fn write(pieces: &[Piece], boundary: &str) -> String {
    let mut text = String::new();
    for piece in pieces {
        text.push_str(&format!("--{boundary}\r\n"));
        match piece {
            Piece::One(answered) => write_one(&mut text, answered),
            Piece::ChangeSet(all) => {
                let inner = format!("changesetresponse_{}", Uuid::new_v4());
                text.push_str(&format!("Content-Type: multipart/mixed; boundary={inner}\r\n\r\n"));
                for answered in all {
                    text.push_str(&format!("--{inner}\r\n"));
                    write_one(&mut text, answered);
                }
                text.push_str(&format!("--{inner}--\r\n"));
            }
        }
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    text
}

fn write_one(text: &mut String, answered: &Answered) {
    let reply = &answered.reply;
    text.push_str("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    if let Some(id) = &answered.id {
        text.push_str(&format!("Content-ID: {id}\r\n"));
    }
    text.push_str(&format!("\r\nHTTP/1.1 {}\r\n", reply.status));
    let (mime, body) = reply.content();
    if let Some(mime) = mime {
        let streaming = if mime.starts_with("application/json") { "; odata.streaming=true" } else { "" };
        text.push_str(&format!("Content-Type: {mime}{streaming}\r\n"));
    }
    for (name, value) in &reply.headers {
        let name = match name.as_str() {
            "odata-version" => "OData-Version",
            "odata-entityid" => "OData-EntityId",
            "location" => "Location",
            "req_id" => "REQ_ID",
            "etag" => "ETag",
            "preference-applied" => "Preference-Applied",
            "retry-after" => "Retry-After",
            other => other,
        };
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    text.push_str(&format!("\r\n{}\r\n", String::from_utf8_lossy(&body)));
}
