# Verifies a request as a receiver does: by the library of Standard Webhooks, and by the text of its specification.
# On standard input: {"headers": {...}, "body": "...", "secrets": [...]}; prints for each secret what both say.
import base64, hashlib, hmac, json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def by_library(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


def by_specification(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(signature, f"v1,{expected}") for signature in given)


request = json.load(sys.stdin)
headers, body = request["headers"], request["body"]
print(json.dumps([[way(secret, headers, body) for way in (by_library, by_specification)] for secret in request["secrets"]]))
