"""Amazon Bedrock's Converse, for clients of OpenAI's chat dialect."""
