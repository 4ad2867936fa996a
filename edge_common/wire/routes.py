"""HTTP paths, spelled here and nowhere else. `<name>` is a parameter."""

HELLO = "/api/link/hello"
JOIN = "/api/link/join"
HEALTH = "/api/health"

LOGIN = "/api/auth/login"
REFRESH = "/api/auth/refresh"
REGISTER = "/api/auth/register"
LOGOUT = "/api/auth/logout"
USERS = "/api/users"
USERS_OF = "/api/users/<organization_id>"
USER = "/api/user/<username>"
SESSIONS_OF = "/api/user/<username>/sessions"
PERMISSION = "/api/permission/<username>"
ORGANIZATIONS = "/api/organization"
ORGANIZATION_ONE = "/api/organization/<organization_id>"
API_TOKENS = "/api/tokens"
API_TOKEN = "/api/tokens/<token_id>"  # noqa: S105 - a path
AUDIT = "/api/audit"

APPLICATION = "/api/application"
APPLICATION_ONE = "/api/application/<application_id>"
APPLICATIONS = "/api/applications"
APPLICATIONS_OF = "/api/applications/<username>"
APPLY = "/api/apply"

SERVICE = "/api/service"
SERVICE_ONE = "/api/service/<service_id>"
SERVICES = "/api/services"
SERVICES_OF = "/api/services/<application_id>"
REPLICAS = "/api/service/<service_id>/replicas"
HISTORY = "/api/service/<service_id>/history"
ROLLBACK = "/api/service/<service_id>/rollback"
ROLLOUT = "/api/service/<service_id>/rollout"
INSTANCES = "/api/service/<service_id>/instance"
INSTANCE_ONE = "/api/service/<service_id>/instance/<int(signed=True):number>"
INSTANCE_LOGS = "/api/service/<service_id>/instance/<int:number>/logs"

CLUSTERS = "/api/clusters"
CLUSTERS_ACTIVE = "/api/clusters/active"
CLUSTER_ONE = "/api/clusters/<cluster_id>"
CLUSTER_NODES = "/api/clusters/<cluster_id>/nodes"
CLUSTER_NODE = "/api/clusters/<cluster_id>/nodes/<node_id>"
CLUSTER_TOKENS = "/api/clusters/<cluster_id>/join-tokens"
CLUSTER_TOKEN = "/api/clusters/<cluster_id>/join-tokens/<token_id>"  # noqa: S105
CLUSTER_TOKEN_ROTATION = "/api/clusters/<cluster_id>/join-tokens/<token_id>/rotate"  # noqa: S105
CLUSTER_WAITING = "/api/clusters/<cluster_id>/waiting"
CLUSTER_NEWCOMER = "/api/clusters/<cluster_id>/waiting/<child_id>"
CLUSTER_ADMISSION = "/api/clusters/<cluster_id>/waiting/<child_id>/admit"
JOIN_TOKENS = "/api/join-tokens"
JOIN_TOKEN = "/api/join-tokens/<token_id>"  # noqa: S105
JOIN_TOKEN_ROTATION = "/api/join-tokens/<token_id>/rotate"  # noqa: S105
WAITING = "/api/waiting"
NEWCOMER = "/api/waiting/<child_id>"
ADMISSION = "/api/waiting/<child_id>/admit"
CORDON = "/api/clusters/<cluster_id>/nodes/<node_id>/cordon"
NODES = "/api/nodes"

SECRETS = "/api/secrets"
SECRET_ONE = "/api/secrets/<name>"  # noqa: S105 - a path
CONFIGS = "/api/configs"
CONFIG_ONE = "/api/configs/<name>"

DOCS = "/api/docs"
DOCUMENT = "/docs/openapi.json"

NET_SUBNETS = "/api/net/subnets"
NET_INSTANCES = "/api/net/instances"
NET_INSTANCE_ONE = "/api/net/instances/<instance_id>"
