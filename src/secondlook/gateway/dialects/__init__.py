"""The interfaces whose answers are looked at twice, by their paths below ``/v1``."""

from collections.abc import Mapping

from secondlook.gateway.dialects.chat import ChatCompletions
from secondlook.gateway.dialects.dialect import Dialect
from secondlook.gateway.dialects.messages import Messages
from secondlook.gateway.dialects.responses import Responses

DIALECTS: Mapping[str, Dialect] = {each.path: each for each in (ChatCompletions(), Responses(), Messages())}

__all__ = ["DIALECTS", "Dialect"]
