#!/usr/bin/env bash
# Judges everything under deploy/ and .github with the tools of its trade, and builds the handbook: deploy/validate/run.sh
# Needs Python 3 with venv and Node.js 20 or newer with npm; installs the tools, pinned by hash, under
# target/. The handbook is target/validate/book/html/index.html then.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../.."
target="$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)"
home="$target/validate"
bin="$home/venv/bin"

if ! cmp -s "$here/requirements.txt" "$home/venv/.installed"; then
    rm -rf "$home"
    python3 -m venv "$home/venv"
    "$bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$home/venv/.installed"
fi

if ! cmp -s "$here/package-lock.json" "$home/node/.installed"; then
    rm -rf "$home/node"
    mkdir -p "$home/node"
    cp "$here/package.json" "$here/package-lock.json" "$home/node/"
    # The bindings of the provider are read and not run, so what they would need besides is left out.
    npm ci --prefix "$home/node" --silent --ignore-scripts --legacy-peer-deps --no-audit --no-fund
    cp "$here/package-lock.json" "$home/node/.installed"
fi

# In place of reports that nobody reads, silence: every tool below fails by its exit code.
mkdir -p "$home/rendered"
rm -rf "$home/rendered"/*
cargo programs --quiet
CONTACTSYNC="$target/debug/contactsync" "$bin/python" "$here/chart.py" "$home/rendered"

node "$here/terraform.mjs" deploy/terraform "$home/node/node_modules" "$home/terraform.json"
"$bin/python" "$here/infrastructure.py" "$home/terraform.json"

"$bin/yamllint" --strict --config-file "$here/yamllint.yaml" \
    .github deploy/compose.yaml deploy/azd/azure.yaml deploy/helm/contactsync/Chart.yaml deploy/helm/contactsync/values.yaml "$here"/*.yaml
printf '   YAML: tidy\n'
"$bin/hadolint" deploy/Dockerfile
printf '   Dockerfile: hadolint has nothing to say\n'
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
"$bin/shellcheck" "${scripts[@]}"
printf '   shell: %s scripts pass shellcheck\n' "${#scripts[@]}"

"$bin/actionlint" -shellcheck "$bin/shellcheck" .github/workflows/*.yml
"$bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
"$bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
"$bin/check-jsonschema" --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
"$bin/check-jsonschema" --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
"$bin/zizmor" --offline --quiet --no-progress --persona auditor .github >/dev/null
printf '   workflows: actionlint, their schema and zizmor have nothing to say\n'
deploy/release/test.sh "$target/debug/contactsync"

"$bin/python" deploy/book/build.py "$target/debug/contactsync" "$bin/mdbook" "$home/book"

if command -v systemd-analyze >/dev/null; then
    # The binary of the unit is not installed here.
    sed 's#/usr/local/bin/contactsync#/bin/true#' deploy/systemd/contactsync.service >"$home/contactsync.service"
    systemd-analyze verify --man=no "$home/contactsync.service"
    systemd-analyze security --offline=true --threshold=20 --no-pager "$home/contactsync.service" >/dev/null
    printf '   systemd: the unit is right, and exposes little\n'
else
    printf '   systemd: systemd-analyze is not here, so the unit was NOT judged\n'
fi

# checkov asks nobody outside with this.
export BC_SKIP_MAPPING=TRUE CHECKOV_RUN_SCA_PACKAGE_SCAN=false LOG_LEVEL=ERROR
"$bin/checkov" --config-file "$here/checkov.yaml" --framework kubernetes --directory "$home/rendered" --skip-path openshift.yaml --skip-path chart
# OpenShift gives each namespace a range of users of its own, so that nobody can be named here.
"$bin/checkov" --config-file "$here/checkov.yaml" --framework kubernetes --file "$home/rendered/openshift.yaml" \
    --skip-check "$("$bin/python" -c 'import sys, yaml; print(",".join(yaml.safe_load(open(sys.argv[1])).get("skip-check", []) + ["CKV_K8S_40"]))' "$here/checkov.yaml")"
"$bin/checkov" --config-file "$here/checkov.yaml" --framework bicep --directory deploy
"$bin/checkov" --config-file "$here/checkov.yaml" --framework terraform --directory deploy/terraform
"$bin/checkov" --config-file "$here/checkov.yaml" --framework dockerfile --file deploy/Dockerfile
printf '   checkov: chart, Bicep, Terraform and Dockerfile keep its rules, but for those in checkov.yaml\n'
