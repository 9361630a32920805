"""Stands in for Azure's logins: identity.py FOLDER

Writes a throw-away authority and a certificate of it (ca.pem, cert.pem, key.pem) into FOLDER, and serves
tokens over https on a free port of this machine: to a client secret, to a federated token, to a managed
identity. What is refused is sent back in the error. Below /echo/STATUS it is a cluster that fails so and sends
back the login it was sent. Prints one line: the port and the token. It ends with its standard input."""

import base64
import datetime
import ipaddress
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = Path(sys.argv[1])
END = 4070908800  # 2099
PEM = serialization.Encoding.PEM


def signed(name, key, issuer, issuer_key, extensions):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2099, 1, 1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
authority = signed("gleaner tests", authority_key, None, authority_key, [(x509.BasicConstraints(True, None), True)])
names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH])
leaf = signed("127.0.0.1", key, authority.subject, authority_key, [(names, False), (usage, False)])
(FOLDER / "ca.pem").write_bytes(authority.public_bytes(PEM))
(FOLDER / "cert.pem").write_bytes(leaf.public_bytes(PEM))
(FOLDER / "key.pem").write_bytes(
    key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


claims = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/", "iat": 1, "nbf": 1, "exp": END}
TOKEN = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims | {'sub': 'nobody at all'})}.c2lnbmF0dXJl"


class Logins(BaseHTTPRequestHandler):
    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith("/echo/"):
            return self.echo(self.path.split("/")[2])
        form = parse_qs(sent)
        proofs = form.get("client_secret", []) + form.get("client_assertion", [])
        told = {"token_type": "Bearer", "expires_in": 86400, "ext_expires_in": 86400, "access_token": TOKEN}
        known = self.path == "/tenant/oauth2/v2.0/token" and proofs in (["the secret"], ["the federated token"])
        self.answer(told if known and form["client_id"] == ["client"] else None, f"{sent} {proofs}")

    def do_GET(self):
        told = {"token_type": "Bearer", "expires_on": str(END), "resource": "", "access_token": TOKEN}
        if self.path == "/v1/rest/auth/metadata":
            return self.answer(None, "", 404)
        known = self.headers["X-IDENTITY-HEADER"] == "the header" and "somebody" not in self.path
        self.answer(told if known else None, str(self.headers["X-IDENTITY-HEADER"]))

    def echo(self, kind):
        login = self.headers["Authorization"]
        token = login.removeprefix("Bearer ")
        error = {"code": token, "message": login, "@message": f"no {login}", "@permanent": kind == "400"}
        body = json.dumps({"error": error | {"innererror": {"code": token}}})
        if kind == "html":
            body = f"<html>{' ' * 380}{login}</html>"
        elif kind == "columns":
            columns = [{"ColumnName": token, "ColumnType": "string"}, {"ColumnName": login, "ColumnType": token}]
            table = {"FrameType": "DataTable", "TableId": 1, "TableKind": "PrimaryResult", "TableName": "PrimaryResult"}
            body = json.dumps([{"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
                               table | {"Columns": columns, "Rows": []}])
        elif kind == "partial":
            body = json.dumps([{"FrameType": "DataSetCompletion", "HasErrors": True, "OneApiErrors": [{"error": error}]}])
        self.send_response(int(kind) if kind.isdigit() else 200)
        for name in ["x-ms-activity-id", "location", "content-encoding" if kind == "encoding" else "x-ms-other"]:
            self.send_header(name, "x" * 80 + login)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def answer(self, told, sent, status=401):
        body = json.dumps(told or {"error": "invalid_client", "error_description": f"who is that? {sent}"}).encode()
        self.send_response(200 if told else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Logins)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER / "cert.pem", FOLDER / "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"port": server.server_port, "token": TOKEN}), flush=True)
sys.stdin.read()
