// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so
/** The text of the files that `ferry init` writes, by their names in the jobs folder. */

const ENDPOINTS = `# yaml-language-server: $schema=endpoints.schema.json
#
# Endpoints: the places where files live, each under a name that jobs use. This file is read again when it changes.
# Relative paths start at the folder that holds jobs/. Any value may be \${env:NAME} or \${file:/run/secrets/name}.

# An SFTP server of Ferry's own, on this machine only, so that you can try everything without an account
# anywhere. What arrives there lies in .ferry/sandbox/try-out/files (FERRY_DATA in place of .ferry, where it is set).
try-out:
  type: sandbox

# Below are examples: take away the "#" in front of the lines and fill in your own.

# An SFTP server, such as an EC2 instance behind a load balancer. Then: ferry trust app-server, ferry check app-server
# What ~/.ssh/config knows of it need not be written again: "sshConfig: app-server" takes it from there.
#app-server:
#  type: sftp
#  host: nlb-0123.elb.ap-northeast-1.amazonaws.com
#  port: 22
#  user: ec2-user
#  key: ./keys/app-server             # OpenSSH, PEM or .ppk; or password:, agent: true
#  passphrase: \${env:APP_KEY_PASS}    # of the key, if it has one
#  idleTimeout: 350s                  # of the load balancer in front: 350s for an NLB, 60s for a CLB
#  connections: 4                     # at most so many at once

# One with a password that is kept in a file.
#partner:
#  type: sftp
#  host: sftp.example.com
#  user: acme
#  password: \${file:./keys/partner.password}
#  knownHosts: ~/.ssh/known_hosts     # instead of pinning its key with ferry trust

# An EC2 instance without a public address, through an EC2 Instance Connect Endpoint: no AWS CLI, and no key on a disk.
#private-server:
#  type: sftp
#  user: ec2-user
#  road: { eice: { instance: i-0123456789abcdef0, endpoint: eice-0123456789abcdef0 } }
#  ephemeralKey: {}                   # a fresh one for each login; or key:

# An S3 bucket. Credentials are those of the AWS SDK: AWS_PROFILE, AWS_ACCESS_KEY_ID …, or the role of this host.
#bucket:
#  type: s3
#  bucket: my-bucket
#  prefix: in/                        # all paths lie below it
#  region: ap-northeast-1             # default: AWS_REGION, or the profile's

# AWS Transfer Family with the FTPS protocol, in front of a bucket, or any other FTPS server. Then: ferry check transfer
#transfer:
#  type: ftps
#  host: vpce-0123-abcd.server.transfer.ap-northeast-1.vpce.amazonaws.com
#  servername: ftps.example.com       # the name in its certificate, where that is another
#  user: class
#  password: \${file:./keys/transfer.password}
#  ca: ./keys/ca.pem                  # who vouches for it, if that is no public authority

# An SFTP connector of AWS Transfer Family: files go through a bucket, and AWS carries them to a partner's server, also
# one that is reached over VPC Lattice alone. Then: ferry trust partner-by-connector, ferry check partner-by-connector
#partner-by-connector:
#  type: connector
#  connector: c-0123456789abcdef0
#  staging: { bucket: my-bucket, prefix: staging/ }   # or the name of an s3 endpoint
#  region: ap-northeast-1             # default: AWS_REGION, or the profile's
#  remoteTemp: true                   # into .ferry-tmp (made by the partner) beside the files, and moved from there

# A folder under a name, such as a mounted share. Jobs may also name folders directly.
#share:
#  type: local
#  path: /mnt/share
`;

const OUTBOX = `# yaml-language-server: $schema=job.schema.json
#
# The job "outbox" (a job is called as its file is): what is put into ./outbox goes to the endpoint try-out.
# This file is read again when it changes. More to copy from: examples/

from: ./outbox                      # relative paths start at the folder that holds jobs/
to: { endpoint: try-out, path: /inbox }
when: { watch: true }               # look whenever something changes there
settle: 1s                          # a file is due when it has not changed for so long (default: 5s)

# What else there is, with its defaults:
#match: ["**"]                      # patterns of the files to take; dotfiles never
#ignore: []                         # patterns of the files to leave
#after: keep                        # once it has arrived: keep, delete, or { archive: ./outbox/.sent }
#conflict: replace                  # when the name is taken by other content: replace, skip, rename, fail
#verify: size                       # what must agree before it counts as delivered: size, checksum
#retry: { attempts: 8, delay: 5s, maxDelay: 15m }
#order: none                        # many at once; or one after another by name or mtime
#preserve: { mtime: true, mode: false }
#history: 400d                      # how long what was delivered is remembered
`;

const NIGHTLY = `# yaml-language-server: $schema=../job.schema.json
#
# Every night at two, Tokyo time: the day's exports, to a server over SFTP. Copy it into jobs/ to use it.

from: ./export
match: ["**/*.csv", "**/*.csv.gz"]
ignore: ["**/*.part.csv"]
to: { endpoint: app-server, path: /srv/inbox }
when:
  cron: "0 2 * * *"                 # minute hour day month weekday
  timezone: Asia/Tokyo
  catchUp: once                     # if Ferry was not running at two, it goes once when it is back; or none
order: name                         # one after another, sorted by name
verify: checksum                    # compare SHA-256, not only the size
retry: { attempts: 10, delay: 30s, maxDelay: 10m }
`;

const DROP = `# yaml-language-server: $schema=../job.schema.json
#
# Another program drops files and, when one is complete, a marker beside it: report.pdf, then report.pdf.done.
# Each goes to two places; when both have confirmed it, the file and its marker move into the archive.

from: ./drop
done: "{name}.done"                 # {stem} would be the name without its extension
to:
  - { endpoint: app-server, path: /srv/reports }
  - ./reports-copy                  # a plain folder on this host
when: { watch: true, rescan: 10m }  # on a network share add poll: 10s
after: { archive: ./drop/.sent }    # keep, delete, or { archive: FOLDER }
conflict: rename                    # never replace a report that is there already
`;

const FETCH = `# yaml-language-server: $schema=../job.schema.json
#
# The other way round: every quarter of an hour, what lies on the server comes here.

from: { endpoint: app-server, path: /srv/outbox }
match: ["*.xml"]                    # not in folders below; that would be **/*.xml
to: ./inbox
when: { cron: "*/15 * * * *" }
after: { archive: /srv/outbox/done } # a folder on the server
`;

const INTO_S3 = `# yaml-language-server: $schema=../job.schema.json
#
# Into an S3 bucket: each night's backups, which may be large. A cut upload goes on where it was, and S3 verifies
# every part. What is in the bucket already under that name is left alone.

from: ./backups
match: ["**/*.tar.zst", "**/*.sql.gz"]
to: { endpoint: bucket, path: /backups }
when: { cron: "30 3 * * *", timezone: Asia/Tokyo }
settle: 1m
conflict: fail                      # by a conditional write: not even two writers at once replace each other's file
verify: checksum
`;

const INTO_TRANSFER_FAMILY = `# yaml-language-server: $schema=../job.schema.json
#
# Into S3 through AWS Transfer Family: whatever is put into ./outbox/class goes over FTPS into a folder of the bucket.
# Paths start with the bucket's name, unless the login has a home directory of its own there.

from: ./outbox/class
match: ["**/*.dat"]
to: { endpoint: transfer, path: /my-bucket/class/in }
when: { watch: true, rescan: 15m }
settle: 10s
after: { archive: ./outbox/class/.sent }
`;

const TO_A_PARTNER = `# yaml-language-server: $schema=../job.schema.json
#
# To a partner's SFTP server through an SFTP connector of AWS Transfer Family: what is put into ./outbox/partner is
# staged in the bucket, carried to the partner by AWS, and confirmed. The folder at the partner has to be there.

from: ./outbox/partner
match: ["**/*.csv"]
to: { endpoint: partner-by-connector, path: /inbox }
when: { watch: true, rescan: 15m }
settle: 10s
conflict: replace                   # skip, rename and fail list the folder first, which takes some seconds
after: { archive: ./outbox/partner/.sent }
`;

/** What works at once, for a folder that holds nothing yet. */
export const FIRST: Readonly<Record<string, string>> = {
  'endpoints.yaml': ENDPOINTS,
  'outbox.yaml': OUTBOX,
};

/** In a folder of their own, which is not loaded. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  'examples/nightly-batch.yaml': NIGHTLY,
  'examples/watched-drop.yaml': DROP,
  'examples/fetch.yaml': FETCH,
  'examples/into-s3.yaml': INTO_S3,
  'examples/into-transfer-family.yaml': INTO_TRANSFER_FAMILY,
  'examples/to-a-partner.yaml': TO_A_PARTNER,
};
