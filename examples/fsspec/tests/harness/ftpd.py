"""ftpd.py ROOT RIGHTS CERTIFICATE: pyftpdlib as a process, since its servers share a loop within one. Prints its port."""
import sys
import warnings

# Of asyncore, which pyftpdlib is made of.
warnings.simplefilter("ignore")
from pyftpdlib.authorizers import DummyAuthorizer  # noqa: E402
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler  # noqa: E402
from pyftpdlib.log import config_logging  # noqa: E402
from pyftpdlib.servers import ThreadedFTPServer  # noqa: E402

root, rights, certificate = sys.argv[1:]
config_logging(level="CRITICAL")
authorizer = DummyAuthorizer()
authorizer.add_user("ada", "s3cret word", root, perm=rights)


class Handler(TLS_FTPHandler if certificate else FTPHandler):
    # It is no secret here, and nobody guesses it.
    auth_failed_timeout = 0


Handler.authorizer = authorizer
if certificate:
    Handler.certfile, Handler.tls_control_required, Handler.tls_data_required = certificate, True, True
server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
print(server.socket.getsockname()[1], flush=True)
server.serve_forever()
