"""HTTP paths, spelled here and nowhere else. `<name>` is a parameter."""

JOIN = "/api/link/join"
HEALTH = "/api/health"

LOGIN = "/api/auth/login"
REFRESH = "/api/auth/refresh"
REGISTER = "/api/auth/register"
USERS = "/api/users"
USER = "/api/user/<username>"
PERMISSION = "/api/permission/<username>"

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
INSTANCES = "/api/service/<service_id>/instance"
INSTANCE_ONE = "/api/service/<service_id>/instance/<int(signed=True):number>"
INSTANCE_LOGS = "/api/service/<service_id>/instance/<int:number>/logs"

CLUSTERS = "/api/clusters"
CLUSTERS_ACTIVE = "/api/clusters/active"
CLUSTER_ONE = "/api/clusters/<cluster_id>"
CLUSTER_NODES = "/api/clusters/<cluster_id>/nodes"
CLUSTER_NODE = "/api/clusters/<cluster_id>/nodes/<node_id>"
CORDON = "/api/clusters/<cluster_id>/nodes/<node_id>/cordon"
NODES = "/api/nodes"

SECRETS = "/api/secrets"
SECRET_ONE = "/api/secrets/<name>"  # noqa: S105 - a path
CONFIGS = "/api/configs"
CONFIG_ONE = "/api/configs/<name>"

DOCS = "/api/docs"
DOCUMENT = "/docs/openapi.json"
