// Judges the Terraform module: node terraform.mjs FOLDER_OF_MODULE FOLDER_OF_NODE_MODULES OUTPUT.json
//
// Parsed by HashiCorp's own parser of HCL, and held against the schema of the provider azurerm, which the package of its
// bindings carries: every argument is known, every one that is required is there, blocks are blocks, and whatever is referred to
// exists. Terraform and its providers are in no package registry, so `terraform validate` itself cannot run here. What was
// parsed is written down as JSON, for the comparison with Bicep.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const [folder, modules, output] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), "any.js"));
const { parse } = require("@cdktf/hcl2json");

const wrong = [];

// What Terraform itself takes in every resource.
const META = new Set(["count", "for_each", "depends_on", "lifecycle", "provider", "dynamic"]);

// The arguments of azapi_resource_action, of version 2.12.
const AZAPI = {
  azapi_resource_action: {
    type: true, resource_id: true, method: false, body: false, sensitive_body: false, sensitive_body_version: false,
  },
};

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

/** Interfaces of a resource: name of the interface → argument → { required, block, type }. And the names of its outputs. */
function schema(type, isData) {
  const name = (isData ? "data-" : "") + type.replaceAll("_", "-").replace(/^azurerm-/, isData ? "azurerm-" : "");
  const file = path.join(modules, "@cdktf/provider-azurerm/lib", name, "index.d.ts");
  const text = fs.readFileSync(file, "utf8");
  const interfaces = {};
  for (const [, interfaceName, body] of text.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    const members = {};
    for (const [, doc, , optional, kind] of body.matchAll(/\/\*\*([\s\S]*?)\*\/\s*readonly (\w+)(\??): ([^;]+);/g)) {
      const argument = doc.match(/#(\w+) \w+#/)[1];
      members[argument] = {
        required: !optional,
        block: doc.includes(" block\n"),
        // Written as a block or as a list of objects, as one likes.
        either: kind.includes("[] | cdktf.IResolvable"),
        type: kind.match(/^\w+/)?.[0],
      };
    }
    interfaces[interfaceName] = members;
  }
  const root = Object.keys(interfaces).find((one) => new RegExp(`interface ${one} extends cdktf.TerraformMetaArguments`).test(text));
  const outputs = new Set([...text.matchAll(/^ {4}get (\w+)\(\)/gm)].map(([, one]) => one));
  return { interfaces, root, outputs };
}

/** Holds a block against an interface. `where` is for people. */
function judge(block, interfaces, name, where, top) {
  const members = interfaces[name];
  const given = { ...block };
  if (top) for (const meta of META) delete given[meta];
  for (const [blockName, entries] of Object.entries(block.dynamic ?? {})) {
    given[blockName] = entries.flatMap((entry) => entry.content);
  }
  delete given.dynamic;
  for (const [key, value] of Object.entries(given)) {
    const member = members[key];
    if (!member) {
      wrong.push(`${where} has no ${key}`);
      continue;
    }
    const written = Array.isArray(value) && typeof value[0] === "object";
    if (member.block !== written && !member.either) {
      wrong.push(`${where}.${key} is ${member.block ? "a block" : "no block"}`);
    } else if (written) {
      for (const one of value) judge(one, interfaces, member.type, `${where}.${key}`, false);
    }
  }
  for (const [key, member] of Object.entries(members)) {
    if (member.required && !(key in given)) wrong.push(`${where} lacks ${key}`);
  }
}

/** Every expression in what was parsed. */
function* expressions(value) {
  if (typeof value === "string") {
    if (value.includes("${")) yield value;
  } else if (value && typeof value === "object") {
    for (const inner of Object.values(value)) yield* expressions(inner);
  }
}

const whole = { resource: {}, data: {}, variable: {}, output: {}, locals: {} };
for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".tf")).sort()) {
  const text = fs.readFileSync(path.join(folder, file), "utf8");
  // What `terraform fmt` would change first.
  if (/\t|[ ]+$/m.test(text) || !text.endsWith("\n") || text.includes("\n\n\n")) wrong.push(`${file}: blanks`);
  for (const [kind, found] of Object.entries(await parse(file, text))) {
    if (kind === "locals") found.forEach((one) => Object.assign(whole.locals, one));
    else if (kind === "resource" || kind === "data") {
      for (const [type, named] of Object.entries(found)) Object.assign((whole[kind][type] ??= {}), named);
    } else if (kind in whole) Object.assign(whole[kind], found);
    else if (kind !== "terraform") wrong.push(`${file}: ${kind} is not expected in a module`);
  }
}

const outputs = {};
let judged = 0;
for (const kind of ["resource", "data"]) {
  for (const [type, named] of Object.entries(whole[kind])) {
    const table = AZAPI[type];
    if (table) {
      for (const [name, [block]] of Object.entries(named)) {
        for (const key of Object.keys(block)) {
          if (!(key in table) && !META.has(key)) wrong.push(`${type}.${name} has no ${key}`);
        }
        judged += 1;
      }
      continue;
    }
    const { interfaces, root, outputs: known } = schema(type, kind === "data");
    outputs[`${kind}.${type}`] = known;
    for (const [name, [block]] of Object.entries(named)) {
      judge(block, interfaces, root, `${kind}.${type}.${name}`, true);
      judged += 1;
    }
  }
}

const used = { var: new Set(), local: new Set() };
const texts = [...expressions(whole)];
for (const [, kind, name] of texts.join("\n").matchAll(/\b(var|local)\.(\w+)/g)) {
  used[kind].add(name);
  if (!(name in (kind === "var" ? whole.variable : whole.locals))) wrong.push(`${kind}.${name} is not there`);
}
for (const name of Object.keys(whole.variable)) if (!used.var.has(name)) wrong.push(`var.${name} is not used`);
for (const name of Object.keys(whole.locals)) if (!used.local.has(name)) wrong.push(`local.${name} is not used`);
for (const text of texts) {
  for (const [, data, type, name, , attribute] of text.matchAll(/(\bdata\.)?\b(azurerm_\w+|azapi_\w+)\.(\w+)(\[[^\]]*\])?(?:\.(\w+))?/g)) {
    const kind = data ? "data" : "resource";
    if (!whole[kind][type]?.[name]) wrong.push(`${kind}.${type}.${name} is not there, in ${text}`);
    else if (attribute && attribute !== "id" && !outputs[`${kind}.${type}`]?.has(camel(attribute))) {
      wrong.push(`${kind}.${type} has no ${attribute}, in ${text}`);
    }
  }
}

if (judged < 20) wrong.push(`only ${judged} resources were found`);
if (wrong.length) {
  console.error(`${folder}:\n  ${wrong.join("\n  ")}`);
  process.exit(1);
}
fs.writeFileSync(output, JSON.stringify(whole, null, 1));
console.log(`   Terraform: ${judged} resources fit the schema of azurerm, and whatever they refer to exists`);
