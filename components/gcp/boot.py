"""What the boot script has to know of Google Cloud."""

from components.cluster.boot import METADATA, Cloud

CLOUD = Cloud(
    facts=f"""\
metadata() {{
    curl -sSf -m 5 --noproxy '*' -H 'Metadata-Flavor: Google' \\
        "http://{METADATA}/computeMetadata/v1/$1"
}}

facts() {{
    id=$(insist metadata instance/id) || return 1
    address=$(insist metadata instance/network-interfaces/0/ip) || return 1
    zone=$(insist metadata instance/zone) || return 1
    zone=${{zone##*/}}
    project=$(insist metadata project/project-id) || return 1
    machine=$(insist metadata instance/name) || return 1
    provider="gce://$project/$zone/$machine"
}}
""",
    # A header on standard input is on no command line.
    fetch="""\
field() {
    sed -n "s/.*\\"$1\\" *: *\\"\\([^\\"]*\\)\\".*/\\1/p"
}

store=https://secretmanager.googleapis.com/v1

token() {
    pass=$(metadata instance/service-accounts/default/token | field access_token)
    [ -n "$pass" ] || return 1
    printf 'Authorization: Bearer %s' "$pass" |
        curl -sSf -m 15 -H @- "$store/$secret/versions/latest:access" |
        field data | base64 -d
}
""",
)
