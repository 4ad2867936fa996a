"""The question of gRPC's health protocol (grpc.health.v1), whose two messages are one field each."""

from node_engine.adapters.probing.proto import health_pb2 as pb
from node_engine.core.health import Answer

_METHOD = "/grpc.health.v1.Health/Check"
_SERVING = 1
_WORDS = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def ask_grpc(address: str, port: int, service: str, timeout_s: float) -> Answer:
    import grpc

    host = f"[{address}]" if ":" in address else address
    options = (("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0))
    with grpc.insecure_channel(f"{host}:{port}", options=options) as channel:
        check = channel.unary_unary(
            _METHOD,
            request_serializer=pb.Question.SerializeToString,
            response_deserializer=pb.Answer.FromString,
        )
        try:
            answer = check(pb.Question(service=service), timeout=timeout_s)
        except grpc.RpcError as error:
            return Answer(False, f"gRPC {error.code().name} from port {port}")
    if answer.status == _SERVING:
        return Answer(True)
    return Answer(False, f"gRPC health {_WORDS.get(answer.status, answer.status)} from port {port}")
