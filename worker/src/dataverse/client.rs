//! The client: requests as the Web API wants them, with a token, tried again where that is safe.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, Request,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, IF_MATCH,
        IF_NONE_MATCH, WWW_AUTHENTICATE,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use servicebus::retry::retry;
use shared::retry::{Again, Ladder};
use url::Url;
use uuid::Uuid;

use super::{
    Challenge, Error,
    answer::Answer,
    code::Kind,
    page::{Page, Pages},
    refusal::Refusal,
    rows::{CurrentOrganization, Organization, WhoAmI},
};
use crate::{http_client, identity::TokenProvider};

/// The version of the Web API.
const API: &str = "/api/data/v9.2/";
/// Most rows of a page, by Dataverse's limit for standard tables.
pub(crate) const PAGE: usize = 5_000;
/// Most ids in one question: with 39 characters each they stay far below the longest address.
const IDS: usize = 100;
/// A request may run for two minutes on the other side; a list may need that.
const LIST_TIMEOUT: Duration = Duration::from_secs(130);
const ROW_TIMEOUT: Duration = Duration::from_secs(30);
/// 5,000 rows of a few columns are a few megabytes.
const LONGEST_LIST: usize = 64 << 20;
const LONGEST_ROW: usize = 4 << 20;
/// Tries of one request.
const TRIES: Ladder =
    Ladder::fixed(Duration::from_secs(1), Duration::from_secs(30)).with_tries(6).with_equal_jitter();
/// The longest wait that is asked for and kept. Limits count in windows of five minutes.
const LONGEST_WAIT: Duration = Duration::from_mins(6);

const PREFER: HeaderName = HeaderName::from_static("prefer");
const MAX_VERSION: HeaderName = HeaderName::from_static("odata-maxversion");
const VERSION: HeaderName = HeaderName::from_static("odata-version");
const SOLUTION: HeaderName = HeaderName::from_static("mscrm.solutionuniquename");
/// One page with the texts of choices, and with names and tables of lookups.
const ANNOTATED: &str = "odata.maxpagesize=5000,odata.include-annotations=\"OData.Community.Display.V1.FormattedValue,\
                         Microsoft.Dynamics.CRM.lookuplogicalname\"";
const FOUR: HeaderValue = HeaderValue::from_static("4.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The Web API of one environment.
pub(crate) struct Client {
    http: reqwest::Client,
    tokens: Arc<dyn TokenProvider>,
    /// `{org}/api/data/v9.2/`; everything lies below it.
    api: Url,
    ladder: Ladder,
}

/// A request before it has a token.
struct Outline {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Bytes>,
    timeout: Duration,
    longest: usize,
    /// Whether doing it twice is as good as doing it once.
    repeatable: bool,
}

impl Outline {
    fn get(url: Url, timeout: Duration, longest: usize) -> Self {
        // What stands before Dataverse must not answer for it from memory.
        let headers = vec![(IF_NONE_MATCH, HeaderValue::from_static("null"))];
        Self { method: Method::GET, url, headers, body: None, timeout, longest, repeatable: true }
    }

    fn write(method: Method, url: Url, body: Option<&Value>, repeatable: bool) -> Self {
        let body = body.map(|body| Bytes::from(body.to_string()));
        Self {
            method,
            url,
            headers: Vec::new(),
            body,
            timeout: ROW_TIMEOUT,
            longest: LONGEST_ROW,
            repeatable,
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn request(&self, authorization: HeaderValue) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        *request.timeout_mut() = Some(self.timeout);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(ACCEPT, JSON);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(MAX_VERSION, FOUR);
        headers.insert(VERSION, FOUR);
        headers.extend(self.headers.iter().cloned());
        if let Some(body) = &self.body {
            headers.insert(CONTENT_TYPE, JSON_UTF8);
            *request.body_mut() = Some(body.clone().into());
        }
        request
    }
}

impl Client {
    /// A client of the environment at `url`, by tokens whose resource is the origin of that address.
    #[must_use]
    pub(crate) fn new(http: &http_client::Client, tokens: Arc<dyn TokenProvider>, url: &Url) -> Self {
        let mut api = url.clone();
        api.set_path(API);
        api.set_query(None);
        api.set_fragment(None);
        Self { http: http.to(url).clone(), tokens, api, ladder: TRIES }
    }

    /// The same with other waits between tries.
    #[cfg(test)]
    pub(super) fn waiting(self, ladder: Ladder) -> Self {
        Self { ladder, ..self }
    }

    /// Who calls, and in which organization. Needs no role.
    pub(crate) async fn who_am_i(&self) -> Result<WhoAmI, Error> {
        self.row("WhoAmI").await
    }

    /// What the environment says about itself.
    pub(crate) async fn organization(&self) -> Result<Organization, Error> {
        let current =
            "RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Default')";
        Ok(self.row::<CurrentOrganization>(current).await?.detail)
    }

    /// One row, or the answer of a function, by its address below the Web API.
    pub(crate) async fn row<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<T, Error> {
        let call = Outline::get(self.url(path_and_query), ROW_TIMEOUT, LONGEST_ROW);
        understood(&self.ask(&call).await?)
    }

    /// All rows of a list; more than `most` are an error, because a part of them would look like the whole.
    pub(crate) async fn rows<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        most: usize,
    ) -> Result<Vec<T>, Error> {
        let (rows, more) = self.first_rows(path_and_query, most).await?;
        if more { Err(Error::TooMany { most }) } else { Ok(rows) }
    }

    /// The first rows of a list, at most so many, and whether there are more.
    pub(crate) async fn first_rows<T: DeserializeOwned>(
        &self,
        path_and_query: &str,
        most: usize,
    ) -> Result<(Vec<T>, bool), Error> {
        gather(self.pages(path_and_query, most.saturating_add(1)), most).await
    }

    /// The pages of a list, of at most so many rows each.
    pub(crate) fn pages<T: DeserializeOwned>(&self, path_and_query: &str, size: usize) -> Pages<'_, T> {
        Pages::new(self, self.url(path_and_query), page_of(size))
    }

    /// The rows with these ids, in no order; ids without a row are left out. Choices and lookups come with their texts.
    pub(crate) async fn rows_by_id<T: DeserializeOwned>(
        &self,
        set: &str,
        key: &str,
        ids: &[Uuid],
        select: &str,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS) {
            let list: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
            let query = format!(
                "{set}?$select={select}&$filter=Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)\
                 &@p1='{key}'&@p2=[{}]",
                list.join(",")
            );
            let prefer = HeaderValue::from_static(ANNOTATED);
            let (page, more) = gather(Pages::new(self, self.url(&query), prefer), IDS).await?;
            if more {
                return Err(Error::TooMany { most: IDS });
            }
            rows.extend(page);
        }
        Ok(rows)
    }

    /// Makes a row, as a component of an unmanaged solution if one is named, and returns its id.
    ///
    /// It is tried again only where it certainly was not made: the limits refused it, or no connection came about. Otherwise
    /// [`Error::Undecided`] tells that the row may be there.
    pub(crate) async fn create(
        &self,
        set: &str,
        body: &Value,
        solution: Option<&str>,
    ) -> Result<Uuid, Error> {
        let mut call = Outline::write(Method::POST, self.url(set), Some(body), false);
        if let Some(solution) = solution {
            let value = HeaderValue::try_from(solution).map_err(|_| {
                Error::Senseless("the name of the solution cannot be sent in a header".into())
            })?;
            call = call.with(SOLUTION, value);
        }
        let answer = self.ask(&call).await?;
        let id = answer.entity.as_deref().and_then(id_of);
        id.ok_or_else(|| Error::Undecided(Box::new(Error::Senseless("it names no row that was made".into()))))
    }

    /// Gives an existing row these values; a row that is not there is not made. Tried again like a read, because the same
    /// values twice are the same as once.
    pub(crate) async fn update(&self, set: &str, id: Uuid, body: &Value) -> Result<(), Error> {
        let call = Outline::write(Method::PATCH, self.url(&format!("{set}({id})")), Some(body), true);
        self.ask(&call.with(IF_MATCH, HeaderValue::from_static("*"))).await.map(drop)
    }

    /// Deletes a row. One that is not there is as good, so it may be tried again.
    pub(crate) async fn delete(&self, set: &str, id: Uuid) -> Result<(), Error> {
        let call = Outline::write(Method::DELETE, self.url(&format!("{set}({id})")), None, true);
        match self.ask(&call).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Some(Kind::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls an action that answers nothing of interest. Tried again as [`Client::create`] is.
    pub(crate) async fn act(&self, path: &str, body: &Value) -> Result<(), Error> {
        let call = Outline::write(Method::POST, self.url(path), Some(body), false);
        self.ask(&call).await.map(drop)
    }

    /// What the environment says to somebody without a token.
    pub(crate) async fn challenge(&self) -> Result<Challenge, Error> {
        let mut request = Request::new(Method::GET, self.api.clone());
        *request.timeout_mut() = Some(ROW_TIMEOUT);
        let response = self.http.execute(request).await.map_err(unreachable)?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let date = text(DATE).map(Into::into);
        Ok(Challenge { date, ..text(WWW_AUTHENTICATE).map(Challenge::read).unwrap_or_default() })
    }

    /// One page of a list. The same preference goes with every page, as Dataverse asks.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        url: &Url,
        prefer: &HeaderValue,
    ) -> Result<Page<T>, Error> {
        let call = Outline::get(url.clone(), LIST_TIMEOUT, LONGEST_LIST).with(PREFER, prefer.clone());
        understood(&self.ask(&call).await?)
    }

    /// The address that a link names, if it stays below the Web API of this environment.
    pub(super) fn below(&self, link: &str) -> Option<Url> {
        let url = Url::parse(link).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        let stays = url.origin() == self.api.origin() && url.path().starts_with(self.api.path());
        (bare && stays).then_some(url)
    }

    /// An address below the Web API. Whatever stands in it, it stays there.
    fn url(&self, path_and_query: &str) -> Url {
        let (path, query) = path_and_query
            .split_once('?')
            .map_or((path_and_query, None), |(path, query)| (path, Some(query)));
        let mut url = self.api.clone();
        url.set_path(&format!("{}{path}", self.api.path()));
        url.set_query(query);
        url
    }

    /// Asks until it is answered, as often as is safe and makes sense.
    async fn ask(&self, call: &Outline) -> Result<Answer, Error> {
        let again = |error: &Error| {
            let again = again(error, call.repeatable);
            if again != Again::Never {
                tracing::warn!(error = %error.explained(), "dataverse is asked again in a moment");
            }
            again
        };
        let answered = retry(self.ladder, again, || self.once(call)).await;
        answered.map_err(|error| {
            if call.repeatable || !error.may_have_happened() {
                error
            } else {
                Error::Undecided(Box::new(error))
            }
        })
    }

    /// Asks once; once more with a fresh token if the first one was refused.
    async fn once(&self, call: &Outline) -> Result<Answer, Error> {
        let token = self.tokens.token().await.map_err(Error::Token)?;
        let answer = self.send(call, token.authorization()).await?;
        if answer.head.status != 401 {
            return self.judged(answer);
        }
        let fresh = self.tokens.renew(&token).await.map_err(Error::Token)?;
        self.judged(self.send(call, fresh.authorization()).await?)
    }

    async fn send(&self, call: &Outline, authorization: HeaderValue) -> Result<Answer, Error> {
        let response = self.http.execute(call.request(authorization)).await.map_err(unreachable)?;
        Answer::read(response, call.longest).await
    }

    fn judged(&self, answer: Answer) -> Result<Answer, Error> {
        if (200..300).contains(&answer.head.status) {
            return Ok(answer);
        }
        let head = answer.head;
        Err(match Refusal::read(&head, &answer.body) {
            Some(refusal) => Error::Refused(refusal),
            None => Error::NotDataverse {
                host: self.api.host_str().unwrap_or_default().into(),
                status: head.status,
                content_type: head.content_type,
            },
        })
    }
}

async fn gather<T: DeserializeOwned>(mut pages: Pages<'_, T>, most: usize) -> Result<(Vec<T>, bool), Error> {
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await? {
        rows.extend(page);
        if rows.len() > most {
            rows.truncate(most);
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

/// The preference for pages of that size.
fn page_of(size: usize) -> HeaderValue {
    let text = format!("odata.maxpagesize={}", size.clamp(1, PAGE));
    // Digits can be sent in a header; without the preference, pages would have their usual size.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn unreachable(cause: reqwest::Error) -> Error {
    Error::Unreachable { sent: !cause.is_connect(), cause: cause.without_url() }
}

fn again(error: &Error, repeatable: bool) -> Again {
    if !repeatable && error.may_have_happened() {
        return Again::Never;
    }
    match error.class().into() {
        Again::After(wait) if wait > LONGEST_WAIT => Again::Never,
        again => again,
    }
}

fn understood<T: DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    // The words of the parser may repeat what is there; where it ended says enough.
    serde_json::from_slice(&answer.body).map_err(|error| {
        Error::Senseless(format!("its {} is not as it has to be", place(&error, &answer.body)).into())
    })
}

fn place(error: &serde_json::Error, body: &[u8]) -> String {
    if body.is_empty() {
        "empty body".to_owned()
    } else {
        format!("column {} of {} bytes", error.column(), body.len())
    }
}

/// The id at the end of `{api}/contacts(GUID)`.
fn id_of(address: &str) -> Option<Uuid> {
    let (_, rest) = address.rsplit_once('(')?;
    Uuid::try_parse(rest.strip_suffix(')')?).ok()
}
