"""Two S3 servers that have nothing in common: versitygw, in Go, and moto, whose check of a signature is botocore's.

Objects get there through boto3, AWS's own client.
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

import process

KEY, SECRET, REGION = "AKIAVERSITYROOT00000", "the-secret-of-root-is-no-ones-business", "eu-central-1"
EVERYBODY = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]


class S3:
    """What a test may ask of either."""

    def facts(self, endpoint):
        options = {"endpoint": endpoint, "region": REGION, "access-key-id": self.key, "access-key-secret": self.secret}
        return {"base": "s3://", "options": options, "variables": {}}

    def connect(self, key, secret):
        self.key, self.secret = key, secret
        config = Config(s3={"addressing_style": "path"}, max_pool_connections=16, retries={"max_attempts": 1})
        endpoint = f"http://127.0.0.1:{self.port}"
        self.client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=REGION, config=config
        )

    def bucket(self, bucket, versioned=False, public=False):
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        if public:
            resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
            rule = {"Effect": "Allow", "Principal": "*", "Action": EVERYBODY, "Resource": resources}
            policy = {"Version": "2012-10-17", "Statement": [rule]}
            self.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    def put(self, bucket, key, file):
        with open(file, "rb") as body:
            return self.client.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")

    def multipart(self, bucket, key, file):
        """In parts of 5 MiB, the smallest that S3 takes."""
        whole = Path(file).read_bytes()
        upload = self.client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        parts = []
        for number, start in enumerate(range(0, len(whole), 5 << 20), 1):
            part = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
            answer = self.client.upload_part(Body=whole[start : start + (5 << 20)], **part)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        done = self.client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        return done["ETag"]

    def tree(self, bucket, prefix, directory):
        """All files beneath `directory`."""
        files = [path for path in Path(directory).rglob("*") if path.is_file()]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: self.put(bucket, prefix + str(path.relative_to(directory)), path), files))
        return len(files)


class Versitygw(S3):
    def __init__(self, home, programs):
        self.port = process.free_port()
        for name in ("objects", "versions", "iam"):
            (home / name).mkdir()
        gateway = [f"{programs}/bin/versitygw", "--quiet", "--keep-alive", "--port", f"127.0.0.1:{self.port}"]
        gateway += ["--access", KEY, "--secret", SECRET, "--region", REGION, "--iam-dir", f"{home}/iam"]
        backend = ["posix", "--versioning-dir", f"{home}/versions", f"{home}/objects"]
        self.process = process.start(gateway + backend, self.port, home / "log", env=process.environment())
        self.connect(KEY, SECRET)


class Moto(S3):
    def __init__(self, home, programs):
        self.port = process.free_port()
        command = [sys.executable, str(Path(__file__).with_name("moto_server.py")), "-H", "127.0.0.1", "-p", str(self.port)]
        # Until there are keys nobody is looked at; afterwards everybody is, whichever test is at work.
        unlimited = process.environment(INITIAL_NO_AUTH_ACTION_COUNT="1000000")
        self.process = process.start(command, self.port, home / "log", env=unlimited)
        keys, self.temporary = self._keys(), self._temporary()
        self.stranger = keys["stranger"]
        self.connect(*keys["reader"].values())
        url, kind = f"http://127.0.0.1:{self.port}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, b"0", kind)).close()

    def facts(self, endpoint):
        return {**super().facts(endpoint), "temporary": self.temporary, "stranger": self.stranger}

    def _service(self, name):
        endpoint = f"http://127.0.0.1:{self.port}"
        key = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(name, endpoint_url=endpoint, region_name=REGION, **key)

    def _keys(self):
        """Of somebody who may do all, and of somebody who may nothing."""
        iam = self._service("iam")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        for name in ("reader", "stranger"):
            iam.create_user(UserName=name)
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
        trust = json.dumps({"Version": "2012-10-17", "Statement": [{**everything, "Principal": "*"}]})
        iam.create_role(RoleName="visitor", AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName="visitor", PolicyName="all", PolicyDocument=policy)
        made = {name: iam.create_access_key(UserName=name)["AccessKey"] for name in ("reader", "stranger")}
        return {name: {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]} for name, key in made.items()}

    def _temporary(self):
        """A key that is good with its token alone."""
        sts = self._service("sts")
        role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/visitor", RoleSessionName="test")
        given = role["Credentials"]
        return {"key": given["AccessKeyId"], "secret": given["SecretAccessKey"], "token": given["SessionToken"]}
