//! Reads what is registered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{Client, Error, Kind, Organization, OrganizationType, ServiceEndpoint, WhoAmI},
    desired::{CONTACT, Desired, Hook},
    found::{EndpointRow, Found, HookCatalog, StepRow},
};

/// Most endpoints of an environment, and most steps of an endpoint. There are a handful of each.
const MOST: usize = 1_000;

const ENDPOINT: &str = "name,description,contract,namespaceformat,namespaceaddress,path,connectionmode,authtype,saskeyname,\
                        issaskeyset,messageformat,messagecharset,userclaim,ismanaged,iscustomizable";
const STEP: &str = "name,_eventhandler_value,stage,mode,statecode,filteringattributes,asyncautodelete,supporteddeployment,\
                    ismanaged,iscustomizable";
const IMAGE: &str = "name,entityalias,imagetype,messagepropertyname,attributes,ismanaged,iscustomizable";

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "sdkmessageid")]
    id: Uuid,
    name: String,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(rename = "sdkmessagefilterid")]
    id: Uuid,
    #[serde(rename = "_sdkmessageid_value")]
    message: Uuid,
    iscustomprocessingstepallowed: Option<bool>,
}

/// All that bears on the registration.
pub(crate) async fn read(client: &Client, who: &WhoAmI, desired: &Desired) -> Result<Found, Error> {
    let organization = organization(client, who).await?;
    let endpoints: Vec<EndpointRow> =
        client.rows(&format!("{}?$select={ENDPOINT}", ServiceEndpoint::SET), MOST).await?;
    let concerns = |one: &EndpointRow| one.is_named(&desired.name) || one.posts_to(desired);
    let endpoints: Vec<_> = endpoints.into_iter().filter(concerns).collect();
    let mut steps = Vec::new();
    for endpoint in &endpoints {
        steps.extend(steps_of(client, endpoint.id).await?);
    }
    let catalog = catalog(client).await?;
    let columns = readable(client.columns(CONTACT).await)?;
    Ok(Found { organization, endpoints, steps, catalog, columns })
}

/// What the environment says about itself. Who may not ask still knows by whom he was answered.
async fn organization(client: &Client, who: &WhoAmI) -> Result<Organization, Error> {
    let told = readable(client.organization().await)?;
    Ok(told.unwrap_or_else(|| Organization {
        organization_id: who.organization_id,
        friendly_name: Box::default(),
        unique_name: Box::default(),
        url_name: Box::default(),
        tenant_id: None,
        organization_type: OrganizationType::Unknown,
    }))
}

async fn steps_of(client: &Client, endpoint: Uuid) -> Result<Vec<StepRow>, Error> {
    let query = format!(
        "sdkmessageprocessingsteps?$select={STEP}&$filter=_eventhandler_value eq {endpoint}\
         &$expand=sdkmessageid($select=name),sdkmessagefilterid($select=primaryobjecttypecode),\
         sdkmessageprocessingstepid_sdkmessageprocessingstepimage($select={IMAGE})"
    );
    client.rows(&query, MOST).await
}

/// Ids differ between environments, so they are looked up by what they mean.
async fn catalog(client: &Client) -> Result<HookCatalog, Error> {
    let names: Vec<_> = Hook::ALL.iter().map(|(hook, ..)| format!("name eq '{}'", hook.as_str())).collect();
    let query = format!("sdkmessages?$select=sdkmessageid,name&$filter={}", names.join(" or "));
    let messages: Vec<Message> = client.rows(&query, MOST).await?;
    let query = format!(
        "sdkmessagefilters?$select=sdkmessagefilterid,_sdkmessageid_value,iscustomprocessingstepallowed\
         &$filter=primaryobjecttypecode eq '{CONTACT}'"
    );
    let filters: Vec<Filter> = client.rows(&query, MOST).await?;
    let known = messages.iter().filter_map(|message| {
        let hook = Hook::named(&message.name)?;
        let is_allowed = |filter: &&Filter| {
            filter.message == message.id && filter.iscustomprocessingstepallowed != Some(false)
        };
        Some((hook, (message.id, filters.iter().find(is_allowed)?.id)))
    });
    Ok(HookCatalog(known.collect::<BTreeMap<_, _>>()))
}

/// The names of the privileges that a user holds; `None` where they cannot be told.
pub(crate) async fn privileges(client: &Client, user: Uuid) -> Result<Option<BTreeSet<String>>, Error> {
    let held = readable(client.privileges(user).await)?;
    let names =
        held.map(|held| held.into_iter().filter_map(|one| one.privilege_name.map(String::from)).collect());
    // Whether names come along is not confirmed, and without them nothing is missing that could be named.
    Ok(names.filter(|names: &BTreeSet<_>| !names.is_empty()))
}

/// What may be refused without harm; everything else that fails does.
fn readable<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(error) if matches!(error.kind(), Some(Kind::Privilege | Kind::Gone | Kind::Configuration)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
