"""Judges the Bicep files and holds the Terraform module against them: deploy/validate/run.sh calls this with the JSON that
terraform.mjs has made of the module.

Each check raises AssertionError with what is wrong. What Azure itself would say is not known here.
"""

import importlib
import json
import pathlib
import re
import sys
import types
import typing

import yaml
from pycep import BicepParser

DEPLOY = pathlib.Path(__file__).parent.parent

# Resource types of the Bicep files whose models Microsoft publishes as types.
MODELS = {
    "Microsoft.ServiceBus/namespaces": ("azure.mgmt.servicebus.types", "SBNamespace"),
    "Microsoft.ServiceBus/namespaces/queues": ("azure.mgmt.servicebus.types", "SBQueue"),
    "Microsoft.ServiceBus/namespaces/queues/authorizationRules": (
        "azure.mgmt.servicebus.types",
        "SBAuthorizationRule",
    ),
    "Microsoft.ServiceBus/namespaces/networkRuleSets": ("azure.mgmt.servicebus.types", "NetworkRuleSet"),
    "Microsoft.Network/networkSecurityGroups": ("azure.mgmt.network.types", "NetworkSecurityGroup"),
    "Microsoft.Network/virtualNetworks": ("azure.mgmt.network.types", "VirtualNetwork"),
    "Microsoft.Network/privateEndpoints": ("azure.mgmt.network.types", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("azure.mgmt.network.types", "PrivateDnsZoneGroup"),
    "Microsoft.Network/privateDnsZones": ("azure.mgmt.privatedns.types", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("azure.mgmt.privatedns.types", "VirtualNetworkLink"),
    "Microsoft.KeyVault/vaults": ("azure.mgmt.keyvault.types", "VaultCreateOrUpdateParameters"),
    "Microsoft.KeyVault/vaults/secrets": ("azure.mgmt.keyvault.types", "SecretCreateOrUpdateParameters"),
    "Microsoft.App/managedEnvironments": ("azure.mgmt.appcontainers.types", "ManagedEnvironment"),
    "Microsoft.App/containerApps": ("azure.mgmt.appcontainers.types", "ContainerApp"),
}
# Parsed, and judged by checkov; their names are looked over by people.
UNMODELLED = {
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.OperationalInsights/workspaces",
}
# What Bicep itself adds to a resource.
OF_BICEP = {"parent", "scope", "name", "dependsOn"}


def typed(kind: object, value: object, path: str) -> list[str]:
    """Properties of `value` that a type of Microsoft's models does not have. Expressions are left alone."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        found = [typed(one, value, path) for one in arguments if one is not type(None)]
        return min(found, key=len, default=[])
    if origin is list and isinstance(value, list):
        return [wrong for at, one in enumerate(value) for wrong in typed(arguments[0], one, f"{path}[{at}]")]
    if isinstance(value, dict) and value.get("operator", {}).get("type") == "conditional":
        operands = value["operator"]["operands"]
        return [wrong for side in ("true_value", "false_value") for wrong in typed(kind, operands[side], path)]
    if isinstance(value, dict) and "loop_type" in value and origin is list:
        return typed(arguments[0], value["config"], f"{path}[]")
    if isinstance(value, dict) and hasattr(kind, "__total__"):
        if {"function", "operator"} & set(value):
            return []
        # Enumerations are named there, but imported for type checkers only.
        package = kind.__module__.removesuffix(".types")
        names = [vars(importlib.import_module(module)) for module in (f"{package}.models", kind.__module__)]
        hints = typing.get_type_hints(kind, names[0] | names[1])
        return [
            wrong
            for key, one in value.items()
            for wrong in ([f"{path}.{key}"] if key not in hints else typed(hints[key], one, f"{path}.{key}"))
        ]
    return []


def config_of(resource: dict) -> dict:
    """The body of a resource, inside its condition or its loop if it has one."""
    config = resource["config"]
    while {"condition", "config"} <= set(config):
        config = config["config"]
    return config


def judge_identities(resources: dict) -> None:
    """The container may use the identity of the worker, and no other that the app has for what is around it."""
    app = config_of(next(found for found in resources.values() if found["type"] == "Microsoft.App/containerApps"))
    settings = app["properties"]["configuration"].get("identitySettings", [])
    kept = {
        ".".join(setting["identity"]["operator"]["operands"].values())
        for setting in settings
        if setting["lifecycle"] == "None"
    }
    carried = {one.strip("'${}") for one in app["identity"]["userAssignedIdentities"]}
    assert carried - kept == {"identity.id"}, f"the container can get tokens of {carried - kept}"


def judge_bicep(path: pathlib.Path) -> dict:
    """Parses the file and holds every resource against the model of its type."""
    parsed = BicepParser().parse(file_path=path)
    resources = parsed.get("resources", {})
    checked = 0
    for name, resource in resources.items():
        model = MODELS.get(resource["type"])
        if model is None:
            assert resource["type"] in UNMODELLED, f"{name}: {resource['type']} is not known here"
            continue
        module, kind = model
        body = {key: value for key, value in config_of(resource).items() if key not in OF_BICEP}
        wrong = typed(getattr(importlib.import_module(module), kind), body, name)
        assert not wrong, f"Microsoft's model of {resource['type']} has no {wrong}"
        checked += 1
    print(f"   {path.name}: {len(resources)} resources, {checked} fit Microsoft's models")
    return parsed


def judge_modules(files: dict) -> None:
    """Each module is handed all parameters that it has, and no other."""
    for name, parsed in files.items():
        for module, call in parsed.get("modules", {}).items():
            config = call["config"].get("config", call["config"])
            wanted = set(files[call["detail"]["path"]]["parameters"])
            assert set(config["params"]) == wanted, f"{name}: {module} is handed {set(config['params'])}, not {wanted}"


# What Terraform calls the types of Bicep. Where Terraform has a block of a resource, Bicep may have a resource of its own.
IN_TERRAFORM = {
    "azurerm_servicebus_namespace": "Microsoft.ServiceBus/namespaces",
    "azurerm_servicebus_namespace.network_rule_set": "Microsoft.ServiceBus/namespaces/networkRuleSets",
    "azurerm_servicebus_queue": "Microsoft.ServiceBus/namespaces/queues",
    "azurerm_servicebus_queue_authorization_rule": "Microsoft.ServiceBus/namespaces/queues/authorizationRules",
    "azurerm_user_assigned_identity": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "azurerm_role_assignment": "Microsoft.Authorization/roleAssignments",
    "azurerm_key_vault": "Microsoft.KeyVault/vaults",
    "azapi_resource_action": "Microsoft.KeyVault/vaults/secrets",
    "azurerm_log_analytics_workspace": "Microsoft.OperationalInsights/workspaces",
    "azurerm_container_app_environment": "Microsoft.App/managedEnvironments",
    "azurerm_container_app": "Microsoft.App/containerApps",
    "azurerm_monitor_action_group": "Microsoft.Insights/actionGroups",
    "azurerm_monitor_metric_alert": "Microsoft.Insights/metricAlerts",
    "azurerm_network_security_group": "Microsoft.Network/networkSecurityGroups",
    "azurerm_virtual_network": "Microsoft.Network/virtualNetworks",
    "azurerm_private_dns_zone": "Microsoft.Network/privateDnsZones",
    "azurerm_private_dns_zone_virtual_network_link": "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
    "azurerm_private_endpoint": "Microsoft.Network/privateEndpoints",
    "azurerm_private_endpoint.private_dns_zone_group": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
}
# Parts of a virtual network in Bicep.
PARTS = {"azurerm_subnet", "azurerm_subnet_network_security_group_association"}
# What Terraform needs and Bicep does not: the group that Bicep is deployed to, and a number that tells that the secret is new.
OF_TERRAFORM = {"resource_group_name", "users_client_secret_version"}

QUEUE = {
    "lockDuration": "lock_duration",
    "maxDeliveryCount": "max_delivery_count",
    "defaultMessageTimeToLive": "default_message_ttl",
    "deadLetteringOnMessageExpiration": "dead_lettering_on_message_expiration",
    "requiresDuplicateDetection": "requires_duplicate_detection",
    "duplicateDetectionHistoryTimeWindow": "duplicate_detection_history_time_window",
    "requiresSession": "requires_session",
    "maxSizeInMegabytes": "max_size_in_megabytes",
}
RULE = {
    "priority": "priority",
    "direction": "direction",
    "access": "access",
    "protocol": "protocol",
    "sourceAddressPrefix": "source_address_prefix",
    "sourcePortRange": "source_port_range",
    "destinationAddressPrefix": "destination_address_prefix",
    "destinationPortRange": "destination_port_range",
}


def snake(name: str) -> str:
    """A name of Bicep as Terraform writes it."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: "_" + found[1].lower(), name)


def same(what: str, bicep: object, terraform: object) -> None:
    """Both files say the same about `what`."""
    assert bicep == terraform, f"{what} differs:\n  Bicep     {bicep}\n  Terraform {terraform}"


def renamed(names: dict, bicep: dict) -> dict:
    """Properties of Bicep under the names of Terraform."""
    return {terraform: bicep[name] for name, terraform in names.items() if name in bicep}


def compare_parameters(main: dict, terraform: dict) -> None:
    """The same parameters, with the same defaults, and the same outputs."""
    defaults = {}
    for name, parameter in main["parameters"].items():
        value = parameter["default"]
        defaults[snake(name)] = None if isinstance(value, dict) else value
    given = {name: one[0].get("default") for name, one in terraform["variable"].items() if name not in OF_TERRAFORM}
    same("parameters and their defaults", defaults, given)
    same("outputs", {snake(name) for name in main["outputs"]}, set(terraform["output"]))


def compare_kinds(files: dict, terraform: dict) -> None:
    """As many resources of each kind."""
    bicep: dict[str, int] = {}
    for parsed in files.values():
        for resource in parsed["resources"].values():
            if not resource["existing"]:
                bicep[resource["type"]] = bicep.get(resource["type"], 0) + 1
    counted: dict[str, int] = {}
    for kind, named in terraform["resource"].items():
        if kind in PARTS:
            continue
        counted[IN_TERRAFORM[kind]] = len(named)
        for block in [one for one in IN_TERRAFORM if one.startswith(f"{kind}.")]:
            have = [one for one in named.values() if {block.split(".")[1]} & {*one[0], *one[0].get("dynamic", {})}]
            counted[IN_TERRAFORM[block]] = len(have)
    same("numbers of resources", bicep, counted)


def compare_rights(main: dict, terraform: dict) -> None:
    """The same roles, by their ids, at the same things."""
    ids = {name: value["value"] for name, value in main["variables"].items() if re.fullmatch(r"[0-9a-f-]{36}", str(value["value"]))}
    same("roles", {snake(name): value for name, value in ids.items()}, terraform["locals"]["roles"])
    names = {"queue": "azurerm_servicebus_queue.contacts.id", "leaseQueue": "azurerm_servicebus_queue.lease.id"}
    names |= {"vault": "azurerm_key_vault.this.id", "registry": "data.azurerm_container_registry.this[0].id"}
    bicep = set()
    for name, resource in main["resources"].items():
        if resource["type"] == "Microsoft.Authorization/roleAssignments":
            config = config_of(resource)
            role = config["properties"]["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
            bicep.add((snake(name), names[config["scope"]], snake(role), config["properties"]["principalType"]))
    given = set()
    for name, [one] in terraform["resource"]["azurerm_role_assignment"].items():
        role = one["role_definition_id"].rsplit("local.roles.", 1)[1].strip("}")
        given.add((name, one["scope"].strip("${}"), role, one["principal_type"]))
    same("rights", bicep, given)
    [rule] = terraform["resource"]["azurerm_servicebus_queue_authorization_rule"]["dataverse"]
    rights = [right.capitalize() for right in ("listen", "send", "manage") if rule[right]]
    same("rights of Dataverse", main["resources"]["dataverseRule"]["config"]["properties"]["rights"], rights)


def compare_worker(main: dict, terraform: dict) -> None:
    """The same queues, variables, probes and limits."""
    for name, other in {"queue": "contacts", "leaseQueue": "lease"}.items():
        [queue] = terraform["resource"]["azurerm_servicebus_queue"][other]
        properties = {key: value for key, value in queue.items() if key not in ("name", "namespace_id")}
        same(name, renamed(QUEUE, main["resources"][name]["config"]["properties"]), properties)
    template = main["resources"]["worker"]["config"]["properties"]["template"]
    [container] = template["containers"]
    [given] = terraform["resource"]["azurerm_container_app"]["worker"][0]["template"]
    [other] = given["container"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    environment = terraform["locals"]["environment"]
    same("variables of the environment", set(variables), set(environment))
    for name, value in variables.items():
        # Where one is an expression the other one has to be one, too.
        plain = isinstance(value, str) and value in ("managed", "secret")
        assert not plain or environment[name] == value, f"{name}: {value} and {environment[name]}"
    same("patience", template["terminationGracePeriodSeconds"], given["termination_grace_period_seconds"])
    same("memory", container["resources"]["memory"], other["memory"])
    same("CPU", container["resources"]["cpu"]["function"]["parameters"]["arg_1"], str(other["cpu"]))
    mounts = {(mount["volumeName"], mount["mountPath"]) for mount in container["volumeMounts"]}
    same("volumes", mounts, {(mount["name"], mount["path"]) for mount in other["volume_mounts"]})
    for probe in container["probes"]:
        [seen] = other[f"{probe['type'].lower()}_probe"]
        figures = (probe["httpGet"]["path"], probe["periodSeconds"], probe["timeoutSeconds"])
        same(probe["type"], figures, (seen["path"], seen["interval_seconds"], seen["timeout"]))


def compare_around(files: dict, terraform: dict) -> None:
    """The same alerts, and the same way into the network."""
    alerts = {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in files["alerts.bicep"]["variables"]["alerts"]["value"]}
    same("alerts", alerts, terraform["locals"]["alerts"])
    network = files["network.bicep"]
    written = str(terraform["locals"]["doors"])
    for door in network["variables"]["doors"]["value"]:
        for value in (door["name"], door["group"], door["zone"]):
            assert value in written, f"Terraform's private endpoints lack {value}"
    [rule] = config_of(network["resources"]["closed"])["properties"]["securityRules"]
    [given] = terraform["resource"]["azurerm_network_security_group"]["closed"][0]["security_rule"]
    same("the rule of the network", {"name": rule["name"]} | renamed(RULE, rule["properties"]), given)


def judge_azd(folder: pathlib.Path) -> None:
    """azd finds the files that it is told of, and hands over parameters that there are."""
    project = yaml.safe_load((folder / "azure.yaml").read_text())
    assert set(project) == {"name", "metadata", "infra"}, project
    infra = project["infra"]
    assert infra["provider"] == "bicep", infra
    outer = BicepParser().parse(file_path=folder / infra["path"] / f"{infra['module']}.bicep")
    [call] = outer["modules"].values()
    inner = BicepParser().parse(file_path=(folder / infra["path"] / call["detail"]["path"]).resolve())
    strange = set(call["config"]["params"]) - set(inner["parameters"])
    assert not strange, f"{call['detail']['path']} has no {strange}"
    needed = {name for name, one in inner["parameters"].items() if one["default"] is None}
    assert needed <= set(call["config"]["params"]), f"azd hands over no {needed - set(call['config']['params'])}"
    parameters = json.loads((folder / infra["path"] / f"{infra['module']}.parameters.json").read_text())["parameters"]
    assert set(parameters) <= set(outer["parameters"]), parameters
    missing = {name for name, one in outer["parameters"].items() if one["default"] is None} - set(parameters)
    assert not missing, f"azd would ask for {missing}"
    print("   azd: hands over parameters that main.bicep has")


def refuse_nonsense() -> None:
    """That the checks above bite."""
    typo = {"properties": {"lockDurations": "PT1M", "maxDeliveryCount": 10}}
    found = typed(getattr(importlib.import_module("azure.mgmt.servicebus.types"), "SBQueue"), typo, "queue")
    assert found == ["queue.properties.lockDurations"], found
    print("   a wrong property of Service Bus is noticed")


if __name__ == "__main__":
    refuse_nonsense()
    bicep_files = {path.name: judge_bicep(path) for path in sorted((DEPLOY / "bicep").glob("*.bicep"))}
    judge_modules(bicep_files)
    judge_identities(bicep_files["main.bicep"]["resources"])
    module = json.loads(pathlib.Path(sys.argv[1]).read_text())
    compare_parameters(bicep_files["main.bicep"], module)
    compare_kinds(bicep_files, module)
    compare_rights(bicep_files["main.bicep"], module)
    compare_worker(bicep_files["main.bicep"], module)
    compare_around(bicep_files, module)
    print("   Terraform makes what Bicep makes: resources, rights, parameters, variables, figures, alerts")
    judge_azd(DEPLOY / "azd")
