"""Azurite, Microsoft's own emulator of blob storage: it checks shared keys and shared access signatures.

Objects get there through azure-storage-blob, Azure's own client.
"""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

import process

ACCOUNT = "dragonfly"
KEY = base64.b64encode(b"the-key-of-the-account-is-of-64-bytes-and-nobody-may-ever-see-it").decode()


class Azurite:
    def __init__(self, home, programs):
        self.port = process.free_port()
        command = ["node", f"{programs}/node_modules/azurite/dist/src/blob/main.js", "--blobHost", "127.0.0.1"]
        command += ["--blobPort", str(self.port), "--silent", "--skipApiVersionCheck"]
        command += ["--disableTelemetry", "--inMemoryPersistence"]
        accounts = process.environment(AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}")
        self.process = process.start(command, self.port, home / "log", env=accounts, cwd=home)
        credential = {"account_name": ACCOUNT, "account_key": KEY}
        self.client = BlobServiceClient(f"http://127.0.0.1:{self.port}/{ACCOUNT}", credential=credential)

    def facts(self, endpoint):
        options = {"endpoint": f"{endpoint}/{ACCOUNT}", "account-name": ACCOUNT, "account-key": KEY}
        return {"base": "azblob://", "options": options, "variables": {}}

    def bucket(self, bucket, public=False):
        try:
            self.client.create_container(bucket, public_access="container" if public else None)
        except ResourceExistsError:
            pass

    def put(self, bucket, key, file):
        """Of more than 4 MiB in blocks."""
        with open(file, "rb") as body:
            blob = self.client.get_blob_client(bucket, key)
            return blob.upload_blob(body, overwrite=True).get("version_id")

    def tree(self, bucket, prefix, directory):
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: self.put(bucket, prefix + str(path.relative_to(directory)), path), files))
        return len(files)

    def signature(self, bucket, hours):
        """A shared access signature for reading and listing; one of negative hours has expired."""
        now = datetime.now(timezone.utc)
        start, expiry = now + timedelta(hours=min(0, hours) - 1), now + timedelta(hours=hours)
        rights = ContainerSasPermissions(read=True, list=True)
        return generate_container_sas(ACCOUNT, bucket, account_key=KEY, permission=rights, start=start, expiry=expiry)
