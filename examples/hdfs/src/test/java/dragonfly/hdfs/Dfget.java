package dragonfly.hdfs;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The real dfget with this plugin, in a directory of its own. */
final class Dfget {
    /** What a run left behind: its exit status and what it said. */
    record Run(int status, String stdout, String stderr) {
        Run {
            if (status == 1 || status >= 128) {
                throw new AssertionError("dfget ended with " + status + ": " + stderr);
            }
        }
    }

    final Path directory;

    Dfget(Path directory) {
        this.directory = directory;
    }

    Path file(String name) {
        return directory.resolve(name);
    }

    Process start(String... arguments) throws IOException {
        // dfget reads HDFS by itself, too, if not told otherwise.
        List<String> command = new ArrayList<>(List.of(
                binary(), "--config", "", "--trust-plugin-dir", "/", "--plugin", "hdfs=" + Plugin.LAUNCHER));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("DFGET_") || name.startsWith("HADOOP_"));
        builder.redirectOutput(file("stdout").toFile()).redirectError(file("stderr").toFile());
        Process process = builder.start();
        process.getOutputStream().close();
        return process;
    }

    Run run(String... arguments) throws IOException, InterruptedException {
        return end(start(arguments));
    }

    Run end(Process process) throws IOException, InterruptedException {
        if (!process.waitFor(120, TimeUnit.SECONDS)) {
            process.destroy();
            throw new AssertionError("dfget still runs after 120 s");
        }
        return new Run(process.exitValue(), text("stdout"), text("stderr"));
    }

    private String text(String name) throws IOException {
        return new String(Files.readAllBytes(file(name)), StandardCharsets.UTF_8);
    }

    private static String binary() {
        String binary = System.getenv("DFGET");
        if (binary == null || !Files.isExecutable(Path.of(binary))) {
            throw new AssertionError("the variable DFGET names no dfget: " + binary + "; build it, or say make test DFGET=PATH");
        }
        return binary;
    }
}
