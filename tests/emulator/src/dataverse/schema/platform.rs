//! What every organization has: its users, their roles, its solutions, its system jobs and itself.

use super::{CREATED, Column, Kind, MODIFIED, OWNER, Table, VERSION};

const JOB_STATES: &[(i32, &str)] = &[(0, "Ready"), (1, "Suspended"), (2, "Locked"), (3, "Completed")];
const JOB_REASONS: &[(i32, &str)] = &[
    (0, "Waiting For Resources"),
    (10, "Waiting"),
    (20, "In Progress"),
    (21, "Pausing"),
    (22, "Canceling"),
    (30, "Succeeded"),
    (31, "Failed"),
    (32, "Canceled"),
];
const OPERATIONS: &[(i32, &str)] = &[(1, "System Event"), (10, "Workflow")];
const EXTENSION: &[(&str, &str)] = &[("owningextensionid", "sdkmessageprocessingstep")];
const REGARDING: &[(&str, &str)] = &[
    ("regardingobjectid_contact", "contact"),
    ("regardingobjectid_adx_externalidentity", "adx_externalidentity"),
    ("regardingobjectid_serviceendpoint", "serviceendpoint"),
];

pub(super) const SYSTEM_USER: Table = Table {
    name: "systemuser",
    set: "systemusers",
    schema_name: "User",
    key: "systemuserid",
    primary_name: "fullname",
    code: 8,
    columns: &[
        Column::key("systemuserid"),
        Column::text("fullname", 200),
        Column::text("domainname", 1024),
        Column::text("internalemailaddress", 100),
        Column::new("applicationid", Kind::Guid),
        Column::new("azureactivedirectoryobjectid", Kind::Guid),
        Column::new("isdisabled", Kind::Bool),
        Column::new("accessmode", Kind::Int),
        // There is no table of business units here; binding one is taken and its id kept.
        Column::new("businessunitid", Kind::Lookup(&[("businessunitid", "businessunit")])),
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const ROLE: Table = Table {
    name: "role",
    set: "roles",
    schema_name: "Role",
    key: "roleid",
    primary_name: "name",
    code: 1036,
    columns: &[Column::key("roleid"), Column::text("name", 100), CREATED, MODIFIED, VERSION],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const ORGANIZATION: Table = Table {
    name: "organization",
    set: "organizations",
    schema_name: "Organization",
    key: "organizationid",
    primary_name: "name",
    code: 1019,
    columns: &[
        Column::key("organizationid"),
        Column::text("name", 160),
        Column::new("expirechangetrackingindays", Kind::Int),
        Column::new("languagecode", Kind::Int).read_only(),
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const SOLUTION: Table = Table {
    name: "solution",
    set: "solutions",
    schema_name: "Solution",
    key: "solutionid",
    primary_name: "friendlyname",
    code: 7100,
    columns: &[
        Column::key("solutionid"),
        Column::text("uniquename", 65),
        Column::text("friendlyname", 256),
        Column::text("version", 256),
        Column::new("ismanaged", Kind::Bool).read_only(),
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: false,
    trackable: false,
};

pub(super) const ASYNC_OPERATION: Table = Table {
    name: "asyncoperation",
    set: "asyncoperations",
    schema_name: "AsyncOperation",
    key: "asyncoperationid",
    primary_name: "name",
    code: 4700,
    columns: &[
        Column::key("asyncoperationid"),
        Column::text("name", 256),
        Column::new("operationtype", Kind::Choice(OPERATIONS)).read_only(),
        Column::new("statecode", Kind::State(JOB_STATES)),
        Column::new("statuscode", Kind::Status(JOB_REASONS)),
        Column::new("postponeuntil", Kind::Moment),
        Column::new("owningextensionid", Kind::Lookup(EXTENSION)).read_only(),
        Column::new("regardingobjectid", Kind::Lookup(REGARDING)).read_only(),
        Column::text("messagename", 160).read_only(),
        Column::new("primaryentitytype", Kind::TableName).read_only(),
        Column::new("correlationid", Kind::Guid).read_only(),
        Column::new("requestid", Kind::Guid).read_only(),
        Column::new("depth", Kind::Int).read_only(),
        Column::new("errorcode", Kind::Int).read_only(),
        Column::new("message", Kind::Memo(1_048_576)).read_only(),
        Column::new("friendlymessage", Kind::Memo(1_048_576)).read_only(),
        Column::new("retrycount", Kind::Int).read_only(),
        Column::new("startedon", Kind::Moment).read_only(),
        Column::new("completedon", Kind::Moment).read_only(),
        Column::new("executiontimespan", Kind::Int).read_only(),
        OWNER,
        CREATED,
        MODIFIED,
        VERSION,
    ],
    collections: &[],
    owned: true,
    trackable: false,
};
