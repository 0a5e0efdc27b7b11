//! From a call to Graph to what it does: admission, quota, the operation.

use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::{
    access,
    call::{Call, Place},
    deleted,
    journal::Kind,
    list, methods,
    options::Profile,
    read,
    refusal::Refusal,
    reply::Ids,
    state::{Handled, State},
    throttle::Cost,
    token::Grant,
};

impl State {
    /// Answers a call to Graph, by itself or as an item of a batch.
    pub(super) fn graph(&mut self, call: &Call, place: &Place, ids: &Ids, now: Instant) -> Handled {
        let kind = match place {
            Place::Batch => Kind::Batch,
            _ if call.item.is_some() => Kind::BatchItem,
            _ => Kind::Graph,
        };
        let grant = match self.tokens.admit(call, now) {
            Ok(grant) => grant,
            Err(refusal) => return Handled::new(kind, refusal.into_reply(ids)),
        };
        let user = match place {
            Place::User(key) | Place::EmailMethods(key, _) => self.directory.resolve(key),
            _ => None,
        };
        let cost = self.cost(call, place);
        // The envelope of a batch costs nothing; its items are charged one by one.
        let charged = if kind == Kind::Batch {
            Ok(0.0)
        } else {
            self.quota.charge(grant.app, cost, call.is_low_priority(), now)
        };
        let percentage = *charged.as_ref().unwrap_or(&0.0);
        let done = charged.and_then(|_| self.admitted(call, place, &grant, now));
        let mut handled = done.unwrap_or_else(|refusal| Handled::new(kind, refusal.into_reply(ids)));
        handled.kind = kind;
        handled.user = handled.user.or(user);
        handled.app = Some(grant.app);
        handled.reply.set("x-ms-resource-unit", &cost.units.to_string());
        if self.quota.settings.percentage_header && percentage >= 0.8 {
            handled.reply.set("x-ms-throttle-limit-percentage", &format!("{:.2}", percentage.min(1.8)));
        }
        handled
    }

    /// What a call costs: a base, less for `$select` and small pages, more for creating a user in B2C.
    fn cost(&self, call: &Call, place: &Place) -> Cost {
        let select = u32::from(call.option("select").is_some());
        let write = u32::from(call.method != Method::GET);
        let units: u32 = match (place, &call.method) {
            (Place::Users, &Method::GET) => {
                let small =
                    call.option("top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
                2_u32.saturating_sub(select + u32::from(small)).max(1)
            }
            (Place::Users, &Method::POST) if self.directory.profile == Profile::B2c => 5,
            (Place::ByIds, _) => return Cost { units: if select == 1 { 2 } else { 5 }, writes: 0 },
            _ => 1,
        };
        Cost { units, writes: write }
    }

    fn admitted(
        &mut self,
        call: &Call,
        place: &Place,
        grant: &Grant,
        now: Instant,
    ) -> Result<Handled, Refusal> {
        match (place, &call.method) {
            (Place::User(key), &Method::GET) => self.read_one(call, key, grant, now),
            (Place::User(key), &Method::PATCH) => self.patch(call, key, grant, now),
            (Place::User(key), &Method::DELETE) => self.remove(key, grant, now),
            (Place::EmailMethods(key, method), verb) => {
                methods::call(&mut self.directory, call, (key, method.as_deref()), verb, grant, now)
            }
            (Place::Users, &Method::GET) => {
                access::may_read(grant)?;
                list::page(&self.directory, call, now).map(|body| Handled::answered(StatusCode::OK, body))
            }
            (Place::Users, &Method::POST) => self.create(call, grant, now),
            (Place::ByIds, &Method::POST) => {
                access::may_read(grant)?;
                let body = call.object()?;
                list::by_ids(&self.directory, call, &body, now)
                    .map(|body| Handled::answered(StatusCode::OK, body))
            }
            (Place::DeletedUsers, &Method::GET) => {
                access::may_read(grant)?;
                deleted::page(&self.directory, call).map(|body| Handled::answered(StatusCode::OK, body))
            }
            (Place::DeletedUser(key), &Method::GET) => {
                access::may_read(grant)?;
                deleted::one(&self.directory, key, call).map(|body| Handled::answered(StatusCode::OK, body))
            }
            (Place::Batch, &Method::POST) => self.batch(call, now),
            (Place::Delta, &Method::GET) => {
                let message = "Change tracking is not supported against resource 'Microsoft.DirectoryServices.User' \
                               in this type of tenant.";
                Err(Refusal::unsupported_query(message))
            }
            (Place::RoleAssignments, &Method::GET) => {
                access::may_read_roles(grant)?;
                Ok(Handled::answered(StatusCode::OK, list::role_assignments(&self.directory, call, now)))
            }
            (Place::Nowhere, _) => {
                let message = format!("Resource not found for the segment '{}'.", call.uri.path());
                Err(Refusal::new(StatusCode::NOT_FOUND, "BadRequest", message))
            }
            _ => {
                let message = "The HTTP method is not supported for this resource.";
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message))
            }
        }
    }

    fn read_one(&self, call: &Call, key: &str, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        access::may_read(grant)?;
        let selection = read::selection(call.option("select").as_deref(), &self.directory.extensions)?;
        let found = self.directory.resolve(key).and_then(|id| self.directory.seen(id, now));
        let user = found.ok_or_else(|| Refusal::not_found(key))?;
        let body = read::single(&call.origin(), user, &selection);
        Ok(Handled { user: Some(user.id), ..Handled::answered(StatusCode::OK, body) })
    }

    fn patch(&mut self, call: &Call, key: &str, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        let body = call.object()?;
        let user = self.directory.target(key, now)?;
        access::may_write(grant, user, &body)?;
        let id = user.id;
        let changes = self.directory.patch(id, body, now)?;
        Ok(Handled { changes, ..Handled::written(id) })
    }

    fn remove(&mut self, key: &str, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        access::may_manage(grant)?;
        let id = self.directory.target(key, now)?.id;
        self.directory.delete(id);
        Ok(Handled::written(id))
    }

    fn create(&mut self, call: &Call, grant: &Grant, now: Instant) -> Result<Handled, Refusal> {
        access::may_manage(grant)?;
        let body = call.object()?;
        let id = self.directory.create(body, now + self.visible_after)?;
        let user = self.directory.get(id).ok_or_else(|| Refusal::not_found(&id.to_string()))?;
        let selection = read::selection(None, &[])?;
        let body = read::single(&call.origin(), user, &selection);
        Ok(Handled { user: Some(id), applied: true, ..Handled::answered(StatusCode::CREATED, body) })
    }
}
