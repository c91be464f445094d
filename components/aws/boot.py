"""What the boot script has to know of AWS. The image has the AWS CLI besides."""

from components.cluster.boot import METADATA, Cloud

CLOUD = Cloud(
    facts=f"""\
metadata() {{
    session=$(curl -sSf -m 5 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \\
        http://{METADATA}/latest/api/token) || return 1
    printf 'X-aws-ec2-metadata-token: %s' "$session" |
        curl -sSf -m 5 --noproxy '*' -H @- "http://{METADATA}/latest/meta-data/$1"
}}

facts() {{
    id=$(insist metadata instance-id) || return 1
    address=$(insist metadata local-ipv4) || return 1
    zone=$(insist metadata placement/availability-zone) || return 1
    provider="aws:///$zone/$id"
}}
""",
    fetch="""\
token() {
    aws secretsmanager get-secret-value --region "$region" --secret-id "$secret" \\
        --query SecretString --output text
}
""",
)
