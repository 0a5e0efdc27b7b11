//! What makes changes leave the organization: endpoints, steps, images, and the messages they are about.

use super::{CREATED, Collection, Column, Kind, MODIFIED, MODIFIED_BY, Table, VERSION};

const CONTRACTS: &[(i32, &str)] = &[
    (1, "One Way"),
    (2, "Queue"),
    (3, "Rest"),
    (4, "Two Way"),
    (5, "Topic"),
    (6, "Queue (Persistent)"),
    (7, "Event Hub"),
    (8, "Webhook"),
    (9, "Event Grid"),
    (10, "Managed Data Lake"),
    (11, "Container Storage"),
];
const FORMATS: &[(i32, &str)] = &[(1, "Namespace Name"), (2, "Namespace Address")];
const CONNECTIONS: &[(i32, &str)] = &[(1, "Normal"), (2, "Federated")];
const AUTHENTICATION: &[(i32, &str)] = &[
    (0, "Not Specified"),
    (1, "ACS"),
    (2, "SAS Key"),
    (3, "SAS Token"),
    (4, "Webhook Key"),
    (5, "Http Header"),
    (6, "Http Query String"),
    (7, "Connection String"),
    (8, "Access Key"),
    (9, "Managed Identity"),
];
const MESSAGE_FORMATS: &[(i32, &str)] = &[(1, "Binary XML"), (2, "Json"), (3, "Text XML")];
const CHARSETS: &[(i32, &str)] = &[(0, "Default"), (1, "UTF8"), (2, "Windows 1252")];
const CLAIMS: &[(i32, &str)] = &[(1, "None"), (2, "UserId"), (3, "UserInfo")];
const STAGES: &[(i32, &str)] =
    &[(10, "Pre-validation"), (20, "Pre-operation"), (30, "Main Operation"), (40, "Post-operation")];
const MODES: &[(i32, &str)] = &[(0, "Synchronous"), (1, "Asynchronous")];
const DEPLOYMENTS: &[(i32, &str)] = &[(0, "Server Only"), (1, "Client Only"), (2, "Both")];
const SOURCES: &[(i32, &str)] = &[(-1, "Internal"), (0, "Parent"), (1, "Child")];
const STEP_STATES: &[(i32, &str)] = &[(0, "Enabled"), (1, "Disabled")];
const STEP_REASONS: &[(i32, &str)] = &[(1, "Enabled"), (2, "Disabled")];
const IMAGE_TYPES: &[(i32, &str)] = &[(0, "PreImage"), (1, "PostImage"), (2, "Both")];
const HANDLERS: &[(&str, &str)] = &[("eventhandler_serviceendpoint", "serviceendpoint")];
const MESSAGE: &[(&str, &str)] = &[("sdkmessageid", "sdkmessage")];
const FILTER: &[(&str, &str)] = &[("sdkmessagefilterid", "sdkmessagefilter")];
const STEP_OF: &[(&str, &str)] = &[("sdkmessageprocessingstepid", "sdkmessageprocessingstep")];
const IMPERSONATED: &[(&str, &str)] = &[("impersonatinguserid", "systemuser")];
const MANAGED: Column = Column::new("ismanaged", Kind::Bool).read_only();
const CUSTOMIZABLE: Column = Column::new("iscustomizable", Kind::Managed).read_only();

pub(super) const SERVICE_ENDPOINT: Table = Table {
    name: "serviceendpoint",
    set: "serviceendpoints",
    schema_name: "ServiceEndpoint",
    key: "serviceendpointid",
    primary_name: "name",
    code: 4618,
    columns: &[
        Column::key("serviceendpointid"),
        Column::text("name", 256),
        Column::new("description", Kind::Memo(2000)),
        Column::new("contract", Kind::Choice(CONTRACTS)),
        Column::new("namespaceformat", Kind::Choice(FORMATS)),
        Column::text("namespaceaddress", 255),
        Column::text("solutionnamespace", 160),
        Column::text("path", 160),
        Column::text("url", 2000),
        Column::new("connectionmode", Kind::Choice(CONNECTIONS)),
        Column::new("authtype", Kind::Choice(AUTHENTICATION)),
        Column::text("saskeyname", 256),
        Column::text("saskey", 256).write_only(),
        Column::text("sastoken", 2000).write_only(),
        Column::text("authvalue", 2000).write_only(),
        Column::new("issaskeyset", Kind::Bool).read_only(),
        Column::new("issastokenset", Kind::Bool).read_only(),
        Column::new("isauthvalueset", Kind::Bool).read_only(),
        Column::new("messageformat", Kind::Choice(MESSAGE_FORMATS)),
        Column::new("messagecharset", Kind::Choice(CHARSETS)),
        Column::new("userclaim", Kind::Choice(CLAIMS)),
        Column::new("usekeyvaultconfiguration", Kind::Bool),
        Column::new("runtimeintegrationproperties", Kind::Memo(4000)).refused(),
        MANAGED,
        CUSTOMIZABLE,
        MODIFIED_BY,
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[Collection {
        name: "serviceendpoint_sdkmessageprocessingstep",
        table: "sdkmessageprocessingstep",
        column: "eventhandler",
    }],
    owned: false,
    trackable: false,
};

pub(super) const SDK_MESSAGE: Table = Table {
    name: "sdkmessage",
    set: "sdkmessages",
    schema_name: "SdkMessage",
    key: "sdkmessageid",
    primary_name: "name",
    code: 4606,
    columns: &[
        Column::key("sdkmessageid"),
        Column::text("name", 256),
        Column::text("categoryname", 25),
        Column::new("isactive", Kind::Bool),
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const SDK_MESSAGE_FILTER: Table = Table {
    name: "sdkmessagefilter",
    set: "sdkmessagefilters",
    schema_name: "SdkMessageFilter",
    key: "sdkmessagefilterid",
    primary_name: "name",
    code: 4607,
    columns: &[
        Column::key("sdkmessagefilterid"),
        Column::text("name", 256),
        Column::new("sdkmessageid", Kind::Lookup(MESSAGE)),
        Column::new("primaryobjecttypecode", Kind::TableName),
        Column::new("secondaryobjecttypecode", Kind::TableName),
        Column::new("iscustomprocessingstepallowed", Kind::Bool),
        Column::new("availability", Kind::Int),
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const STEP: Table = Table {
    name: "sdkmessageprocessingstep",
    set: "sdkmessageprocessingsteps",
    schema_name: "SdkMessageProcessingStep",
    key: "sdkmessageprocessingstepid",
    primary_name: "name",
    code: 4608,
    columns: &[
        Column::key("sdkmessageprocessingstepid"),
        Column::text("name", 256),
        Column::new("description", Kind::Memo(256)),
        Column::new("stage", Kind::Choice(STAGES)),
        Column::new("mode", Kind::Choice(MODES)),
        Column::new("rank", Kind::Int),
        Column::new("supporteddeployment", Kind::Choice(DEPLOYMENTS)),
        Column::new("asyncautodelete", Kind::Bool),
        Column::new("invocationsource", Kind::Choice(SOURCES)),
        Column::new("filteringattributes", Kind::Memo(100_000)),
        Column::new("configuration", Kind::Memo(1_073_741_823)),
        Column::new("canbebypassed", Kind::Bool),
        Column::new("eventhandler", Kind::Lookup(HANDLERS)),
        Column::new("sdkmessageid", Kind::Lookup(MESSAGE)),
        Column::new("sdkmessagefilterid", Kind::Lookup(FILTER)),
        Column::new("impersonatinguserid", Kind::Lookup(IMPERSONATED)),
        Column::new("statecode", Kind::State(STEP_STATES)),
        Column::new("statuscode", Kind::Status(STEP_REASONS)),
        MANAGED,
        CUSTOMIZABLE,
        MODIFIED_BY,
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[Collection {
        name: "sdkmessageprocessingstepid_sdkmessageprocessingstepimage",
        table: "sdkmessageprocessingstepimage",
        column: "sdkmessageprocessingstepid",
    }],
    owned: false,
    trackable: false,
};

pub(super) const IMAGE: Table = Table {
    name: "sdkmessageprocessingstepimage",
    set: "sdkmessageprocessingstepimages",
    schema_name: "SdkMessageProcessingStepImage",
    key: "sdkmessageprocessingstepimageid",
    primary_name: "name",
    code: 4615,
    columns: &[
        Column::key("sdkmessageprocessingstepimageid"),
        Column::text("name", 256),
        Column::new("description", Kind::Memo(256)),
        Column::text("entityalias", 256),
        Column::new("imagetype", Kind::Choice(IMAGE_TYPES)),
        Column::text("messagepropertyname", 256),
        Column::new("attributes", Kind::Memo(100_000)),
        Column::new("sdkmessageprocessingstepid", Kind::Lookup(STEP_OF)),
        MANAGED,
        CUSTOMIZABLE,
        MODIFIED_BY,
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};
